"""What each part of the recipe `best` brings, part by part left out, on real teachers without their data.

    python benchmarks/ablation.py --task mnist [--rounds 40] [--seeds 0 1 2] [--only "fresh student"]

All variants do as many rounds, few enough to be done on two cores; `accuracy.py` shows what more time brings. Without
batch-norm in the teacher nothing is refined or weighed, so that terms and weights can make no difference there: --only
chooses variants. The last iterate is measured on images that no run sees. Test images choose nothing: settings are
chosen on digits, on held-out training images of MNIST (task mnist_bn), and on training images of CIFAR-10 for a teacher
and a student of their own (task cifar10_held_out). Runs that were finished are kept in --folder and not run again. Adds
to `benchmarks/results/ablation_TASK.json` (with rounds and seeds in its name where they are not the usual), unless the
recipe has other settings since. The last line is one JSON object: {"task", "whole"} and, for each variant, its accuracy
less that of the whole in points, mean over seeds; its deviation over seeds is in the file.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from beliefmatch import Adam, RunOptions
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.runs.serialisation import to_json
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.studies.sweep import Cell, Measure, Outcome, Row, sweep
from beliefmatch.training.transfer import Transfer
from machine import RESULTS, describe_machine, rounded_spread, write_results
from tasks import TASKS, make_transfer, measure_images, percent, teacher_weights


def with_source(**settings: Any) -> Callable[[Transfer], Transfer]:
    return lambda transfer: replace(transfer, source=replace(transfer.source, **settings))


WHOLE = ProceduralPool()


def refined_with(**terms: float) -> Callable[[Transfer], Transfer]:
    return with_source(terms=replace(WHOLE.terms, **terms))


def with_optimiser(learning_rate: float) -> Callable[[Transfer], Transfer]:
    return lambda transfer: replace(transfer, student_optimiser=Adam(learning_rate=learning_rate, gradient_clip=5.0))


VARIANTS: dict[str, Callable[[Transfer], Transfer]] = {
    "whole": lambda transfer: transfer,
    "fresh student": lambda transfer: replace(transfer, student=replace(transfer.student, start="fresh")),
    "nothing refined": with_source(refined_fraction=0.0),
    "all refined": with_source(refined_fraction=1.0),
    "crossed instead of refined": with_source(refined_fraction=0.0, crossed_fraction=0.5),
    "no dead leaves": with_source(leaf_fraction=0.0),
    "dead leaves alone": with_source(leaf_fraction=1.0),
    "no curves": with_source(curve_fraction=0.0),
    "noise, nothing drawn": lambda transfer: replace(transfer, source=Noise(student_steps=WHOLE.student_steps)),
    "no weights": with_source(weighted_fraction=0.0),
    "nothing mixed": with_source(mixed_fraction=0.0),
    "no crops": with_source(augmentation="none"),
    "mirrored": with_source(augmentation="crop_flip"),
    "a third of the statistics": refined_with(statistics=1.0),
    "three times the statistics": refined_with(statistics=9.0),
    "twice the steps that refine": with_source(making_steps=60),
    "learning rate 1e-2": with_optimiser(1e-2),
    "learning rate 1.5e-3": with_optimiser(1.5e-3),
    "frozen batch-norm": lambda transfer: replace(transfer, freeze_batch_norm=True),
    "no features": lambda transfer: replace(transfer, objective=replace(transfer.objective, feature_weight=0.0)),
    "features that weigh 30": lambda transfer: replace(
        transfer, objective=replace(transfer.objective, feature_weight=30.0)
    ),
    "attention": lambda transfer: replace(transfer, objective=replace(transfer.objective, attention_weight=2500.0)),
    "KL at temperature 1": lambda transfer: replace(transfer, objective=BeliefMatching(divergence="kl")),
    "KL at temperature 4": lambda transfer: replace(
        transfer, objective=BeliefMatching(divergence="kl", temperature=4.0, divergence_weight=16.0)
    ),
}


USUAL_ROUNDS = 40
USUAL_SEEDS = [0, 1, 2]


def name_results(task: str, rounds: int, seeds: list[int]) -> str:
    name = f"ablation_{task}"
    name += f"_rounds_{rounds}" if rounds != USUAL_ROUNDS else ""
    return name + ("_seeds_" + "_".join(map(str, seeds)) if seeds != USUAL_SEEDS else "")


def settings_of(transfer: Transfer) -> dict[str, Any]:
    """Return the settings that a run of the whole would take, but for its networks and seed."""
    settings = to_json(transfer)
    return {name: settings[name] for name in ("source", "objective", "student_optimiser", "batch_size")}


def earlier_rows(name: str, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read what was found of other variants at the same settings."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found["variants"] if all(found.get(name) == value for name, value in facts.items()) else {}


def with_differences(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Compare each variant with the whole seed by seed: equal seeds share a teacher and what both draw."""
    if "whole" not in rows:
        return rows
    whole = rows["whole"]["accuracies"]
    compared = {}
    for name, row in rows.items():
        gaps = [ours - theirs for ours, theirs in zip(row["accuracies"], whole, strict=True)]
        mean, deviation = rounded_spread(gaps, 2)
        compared[name] = row | {"difference": mean, "difference_std": deviation}
    return compared


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--rounds", type=int, default=USUAL_ROUNDS, help="each of 40 student steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=USUAL_SEEDS)
    parser.add_argument("--only", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    return parser.parse_args()


def make_whole(arguments: argparse.Namespace, seed: int) -> Transfer:
    weights = teacher_weights(arguments.task, arguments.data, arguments.folder, seed)
    return make_transfer(TASKS[arguments.task], "best", weights, seed)


def make_cell(variant: str, arguments: argparse.Namespace, measure: Measure[Measurement]) -> Cell[Measurement]:
    folder = arguments.folder / f"{arguments.task}_{arguments.rounds}" / variant.replace(" ", "_")
    return Cell(
        name=variant,
        transfer=lambda seed: replace(VARIANTS[variant](make_whole(arguments, seed)), rounds=arguments.rounds),
        folder=lambda seed: folder / f"seed_{seed}",
        options=RunOptions(folder=folder, resume=True),
        measure=measure,
    )


def describe(row: Row[Measurement]) -> dict[str, Any]:
    accuracies = [percent(accuracy) for accuracy in row.values("student_accuracy")]
    mean, deviation = rounded_spread(accuracies, 2)
    seconds = rounded_spread(row.values("seconds"), 1)[0]
    return {"accuracies": accuracies, "mean": mean, "std": deviation, "seconds_mean": seconds}


def report(outcome: Outcome[Measurement]) -> None:
    assert outcome.result is not None
    accuracy = percent(outcome.result.student_accuracy)
    print(json.dumps({"variant": outcome.cell.name, "seed": outcome.seed, "accuracy": accuracy}), flush=True)


def main() -> None:
    arguments = parse_arguments()
    measure = measure_images(TASKS[arguments.task], arguments.data)
    cells = [make_cell(variant, arguments, measure) for variant in arguments.only]
    rows: dict[str, dict[str, Any]] = {}
    for row in sweep(cells, arguments.seeds, report=report):
        rows[row.cell.name] = describe(row) | {"machine": describe_machine()}
        print(json.dumps({"variant": row.cell.name, **describe(row)}), flush=True)
    settings = settings_of(make_whole(arguments, arguments.seeds[-1]))
    facts = {"task": arguments.task, "rounds": arguments.rounds, "seeds": arguments.seeds, "settings": settings}
    name = name_results(arguments.task, arguments.rounds, arguments.seeds)
    rows = with_differences(earlier_rows(name, facts) | rows)
    write_results(name, {**facts, "variants": rows})
    summary: dict[str, Any] = {"task": arguments.task}
    if "whole" in rows:
        summary["whole"] = rows["whole"]["mean"]
        summary |= {name: row["difference"] for name, row in rows.items() if name != "whole"}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
