"""How good a student gets in a given time on real teachers, without their data.

    python benchmarks/accuracy.py --task mnist [--recipe best] [--seeds 0 1 2] [--share 1] [--start fresh]

Each run gets the task's budget of wall time, on whatever device is found: some rounds are timed first, once a task,
and as many are done as fit. --share takes a fraction of the budget, and the results say so. The last iterate is
measured on images that nothing before had seen. Runs that were finished are kept in --folder and not run again; one
that was cut short goes on. Writes `benchmarks/results/accuracy_TASK_RECIPE.json` (with the share in its name where it
is not 1, or the number of rounds that was asked for). The last line is one JSON object: {"task", "accuracy_mean",
"accuracy_std", "seconds_mean"}, in percent.
"""

import argparse
import inspect
import json
import time
from pathlib import Path
from typing import Any

from beliefmatch import recipes
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.studies.sweep import Cell, Outcome, sweep
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, rounded_spread, write_results
from tasks import TASKS, make_transfer, percent, teacher_weights, timed_cell


def takes_any_network(name: str) -> bool:
    """Whether a recipe takes what a task gives, and nothing that it does not."""
    parameters = inspect.signature(recipes.ALL[name]).parameters
    needed = {name for name, each in parameters.items() if each.default is each.empty}
    return needed == {"setup"} and recipes.defaults_of(name).inputs is None


RECIPES = [name for name in recipes.ALL if takes_any_network(name)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--start", choices=("fresh",), help="let the student start fresh where the recipe would not")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the budget to take")
    parser.add_argument("--rounds", type=int, help="so many instead of those that fit, to show that it runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--results", help="name of the file of results, instead of its own")
    return parser.parse_args()


def name_runs(arguments: argparse.Namespace) -> str:
    name = f"{arguments.task}_{arguments.recipe}"
    name += f"_{arguments.start}" if arguments.start else ""
    name += f"_share_{arguments.share:g}" if arguments.share != 1 else ""
    return name + (f"_rounds_{arguments.rounds}" if arguments.rounds else "")


def make_cell(arguments: argparse.Namespace, name: str) -> Cell[Measurement]:
    task = TASKS[arguments.task]

    def transfer(seed: int) -> Transfer:
        weights = teacher_weights(arguments.task, arguments.data, arguments.folder, seed)
        return make_transfer(task, arguments.recipe, weights, seed, arguments.start)

    return timed_cell(name, task, transfer, arguments)


def describe(outcome: Outcome[Measurement]) -> dict[str, Any]:
    result = outcome.result
    assert result is not None
    assert result.agreement is not None
    return {
        "seed": outcome.seed,
        "accuracy": percent(result.student_accuracy),
        "teacher_accuracy": percent(result.teacher_accuracy),
        "agreement": round(100 * result.agreement, 2),
        "seconds": result.seconds,
        "rounds": result.rounds,
        "student_passes": result.student_passes,
        "teacher_passes": result.teacher_passes,
        "collapses": [collapse.kind for collapse in outcome.folder.read_collapses()],
    }


def main() -> None:
    arguments = parse_arguments()
    began = time.perf_counter()
    name = name_runs(arguments)
    cell = make_cell(arguments, name)
    (row,) = sweep([cell], arguments.seeds, report=lambda outcome: print(json.dumps(describe(outcome)), flush=True))
    runs = [describe(outcome) for outcome in row.outcomes]
    settings = row.outcomes[-1].folder.read_run().settings.transfer
    seconds = row.values("seconds")
    accuracy, deviation = rounded_spread([run["accuracy"] for run in runs], 2)
    summary = {
        "task": arguments.task,
        "accuracy_mean": accuracy,
        "accuracy_std": deviation,
        "seconds_mean": rounded_spread(seconds, 1)[0],
    }
    task = TASKS[arguments.task]
    allowed = 60 * task.minutes * arguments.share
    write_results(
        arguments.results or f"accuracy_{name}",
        {
            "machine": describe_machine(),
            "recipe": arguments.recipe,
            "start": arguments.start,
            "share_of_budget": None if arguments.rounds else arguments.share,
            "settings": {part: settings[part] for part in ("source", "objective", "student_optimiser")},
            "budget": {
                "seconds": allowed,
                "meant_for": task.machine,
                "kept": None if arguments.rounds else max(seconds) <= allowed,
            },
            "runs": runs,
            "summary": summary,
        },
    )
    budget = "" if arguments.rounds else f" of {allowed:.0f} s"
    print(f"the runs took {sum(seconds):.0f} s in all, the longest {max(seconds):.0f} s{budget}")
    print(f"this call took {time.perf_counter() - began:.0f} s")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
