"""How good a student gets in a given time on real teachers, without their data.

    python benchmarks/accuracy.py --task mnist [--recipe best] [--seeds 0 1 2] [--share 1] [--start fresh]

Each run gets the task's budget of wall time, on whatever device is found: some rounds are timed first, once a task,
and as many are done as fit. --share takes a part of the budget, and the results say so. The last iterate is measured
on images that nothing before had seen. Runs that were finished are kept in --folder and not run again; one
that was cut short goes on. Writes `benchmarks/results/accuracy_TASK_RECIPE.json` (with the share in its name where it
is not 1, or the number of rounds that was asked for). The last line is one JSON object: {"task", "accuracy_mean",
"accuracy_std", "seconds_mean"}, in percent.
"""

import argparse
import inspect
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from beliefmatch import RunFolder, RunOptions, measure_run, recipes, run
from beliefmatch.runs.atomic import write_json
from beliefmatch.training.timing import rounds_for
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, write_results
from tasks import TASKS, make_transfer, percent, teacher_weights

SPARE = 0.85
"""Part of the budget that rounds are planned for; logs, pictures and checkpoints take some of the rest, and a machine
that does other work slows down by more than a tenth from one minute to the next."""


def takes_any_network(recipe: Callable[..., Transfer]) -> bool:
    """Tell whether a recipe takes what a task gives, and nothing that it does not."""
    parameters = inspect.signature(recipe).parameters
    needed = {name for name, each in parameters.items() if each.default is each.empty}
    return needed == {"teacher", "student"} and {"shape", "mean", "std"} <= set(parameters)


RECIPES = [name for name, recipe in recipes.ALL.items() if takes_any_network(recipe)]


def settle_rounds(transfer: Transfer, options: RunOptions, seconds: float) -> int:
    """Time rounds once, and keep their number for whoever resumes."""
    kept = options.folder.parent / "rounds.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, {"rounds": rounds_for(transfer, options, seconds), "seconds": seconds})
    return json.loads(kept.read_text())["rounds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--start", choices=("fresh",), help="let the student start fresh where the recipe would not")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=1.0, help="part of the budget to take")
    parser.add_argument("--rounds", type=int, help="so many instead of those that fit, to show that it runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/accuracy"))
    arguments = parser.parse_args()
    began = time.perf_counter()
    task = TASKS[arguments.task]
    name = f"{arguments.task}_{arguments.recipe}"
    name += f"_{arguments.start}" if arguments.start else ""
    name += f"_share_{arguments.share:g}" if arguments.share != 1 else ""
    name += f"_rounds_{arguments.rounds}" if arguments.rounds else ""
    images = task.read(arguments.data)
    rows, settings = [], {}
    for seed in arguments.seeds:
        options = RunOptions(folder=arguments.folder / name / f"seed_{seed}", resume=True)
        weights = teacher_weights(arguments.task, arguments.data, arguments.folder, seed)
        transfer = make_transfer(task, arguments.recipe, weights, seed, arguments.start)
        seconds = 60 * task.minutes * arguments.share * SPARE
        rounds = arguments.rounds or settle_rounds(transfer, options, seconds)
        result = run(replace(transfer, rounds=rounds), options)
        folder = RunFolder(options.folder)
        measured = measure_run(folder, images, name=task.images)
        transfer_settings = folder.read()["settings"]["transfer"]
        settings = {part: transfer_settings[part] for part in ("source", "objective", "student_optimiser")}
        rows.append(
            {
                "seed": seed,
                "accuracy": percent(measured.student_accuracy),
                "teacher_accuracy": percent(measured.teacher_accuracy),
                "agreement": round(100 * measured.agreement.value, 2),
                "seconds": result.seconds,
                "rounds": rounds,
                "student_passes": result.student_passes,
                "teacher_passes": result.teacher_passes,
                "collapses": [collapse.kind for collapse in folder.read_collapses()],
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    accuracies, took = [row["accuracy"] for row in rows], [row["seconds"] for row in rows]
    allowed = 60 * task.minutes
    summary = {
        "task": arguments.task,
        "accuracy_mean": round(fmean(accuracies), 2),
        "accuracy_std": round(stdev(accuracies), 2) if len(rows) > 1 else None,
        "seconds_mean": round(fmean(took), 1),
    }
    share = None if arguments.rounds else arguments.share
    facts = {"recipe": arguments.recipe, "start": arguments.start, "share_of_budget": share}
    budget = {"seconds": allowed * arguments.share, "meant_for": task.machine}
    budget["kept"] = None if arguments.rounds else max(took) <= budget["seconds"]
    write_results(
        f"accuracy_{name}",
        {
            "machine": describe_machine(),
            **facts,
            "settings": settings,
            "budget": budget,
            "runs": rows,
            "summary": summary,
        },
    )
    of = "" if arguments.rounds else f" of {budget['seconds']:.0f} s"
    print(f"the runs took {sum(took):.0f} s in all, the longest {max(took):.0f} s{of}")
    print(f"this call took {time.perf_counter() - began:.0f} s")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
