"""What each part of the recipe `best` brings, part by part left out, on real teachers without their data.

    python benchmarks/ablation.py --task mnist [--rounds 50] [--seeds 0 1 2] [--only "fresh student"]

All variants do as many rounds, few enough to be done on two cores; `accuracy.py` shows what more time brings. Without
batch-norm in the teacher nothing is refined, so that crops, a pool or terms can make no difference there: --only
chooses variants. The last iterate is measured on images that no run sees. Test images choose nothing: settings are
chosen on digits and on held-out training images of MNIST, which task mnist_bn measures on. Runs that were finished are
kept in --folder and not run again. Adds to `benchmarks/results/ablation_TASK.json` (with rounds and seeds in its name
where they are not the usual), unless the recipe has other settings since. The last line is one JSON object: {"task",
"whole"} and, for each variant, its accuracy less that of the whole in points, mean over seeds; its deviation over seeds
is in the file.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from beliefmatch import RunFolder, RunOptions, measure_run, run
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.refined_textures import REFINED_SHARE, RefinedTextures
from beliefmatch.training.serialisation import to_plain
from beliefmatch.training.transfer import Transfer
from machine import RESULTS, describe_machine, write_results
from tasks import TASKS, make_transfer, percent, teacher_weights


def with_source(**settings: Any) -> Callable[[Transfer], Transfer]:
    return lambda transfer: replace(transfer, source=replace(transfer.source, **settings))


def refined_without(term: str) -> Callable[[Transfer], Transfer]:
    weights: dict[str, Any] = {term: 0.0}
    return with_source(refined_share=REFINED_SHARE, terms=replace(WHOLE.terms, **weights))


WHOLE = RefinedTextures()
SHARED: dict[str, Any] = {
    name: getattr(WHOLE, name)
    for name in ("making_steps", "student_steps", "warm_up", "capacity", "augmentation", "padding", "terms")
}
"""What inversion from noise has in common with refining."""


def with_source_of(source: AbstractSource[Any]) -> Callable[[Transfer], Transfer]:
    return lambda transfer: replace(transfer, source=source)


VARIANTS: dict[str, Callable[[Transfer], Transfer]] = {
    "whole": lambda transfer: transfer,
    "fresh student": lambda transfer: replace(transfer, student=replace(transfer.student, start="fresh")),
    "nothing refined": with_source(refined_share=0.0),
    "half refined": with_source(refined_share=REFINED_SHARE),
    "all refined": with_source(refined_share=1.0),
    "no curves": with_source(curve_share=0.0),
    "no areas": with_source(curve_share=1.0),
    "noise, no textures": with_source_of(Noise(student_steps=WHOLE.student_steps)),
    "inversion from noise": with_source_of(DeepInversion(**SHARED)),
    "no crops": with_source(augmentation="none"),
    "no pool": with_source(capacity=128),
    "no statistics": refined_without("statistics"),
    "no classes": refined_without("one_hot"),
    "KL at temperature 1": lambda transfer: replace(transfer, objective=BeliefMatching(divergence="kl")),
    "L1 on logits": lambda transfer: replace(transfer, objective=BeliefMatching(divergence="l1")),
}


USUAL_ROUNDS = 50
USUAL_SEEDS = [0, 1, 2]


def name_results(task: str, rounds: int, seeds: list[int]) -> str:
    name = f"ablation_{task}"
    name += f"_rounds_{rounds}" if rounds != USUAL_ROUNDS else ""
    return name + ("_seeds_" + "_".join(map(str, seeds)) if seeds != USUAL_SEEDS else "")


def settings_of(transfer: Transfer) -> dict[str, Any]:
    """Tell what a run of the whole would take, but for its networks and seed."""
    settings = to_plain(transfer)
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
        spread = round(stdev(gaps), 2) if len(gaps) > 1 else None
        compared[name] = row | {"difference": round(fmean(gaps), 2), "difference_std": spread}
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--rounds", type=int, default=USUAL_ROUNDS, help="each of 20 student steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=USUAL_SEEDS)
    parser.add_argument("--only", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    images = task.read(arguments.data)
    rows: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {}
    for variant in arguments.only:
        accuracies, seconds = [], []
        for seed in arguments.seeds:
            place = f"{arguments.task}_{arguments.rounds}/{variant.replace(' ', '_')}/seed_{seed}"
            options = RunOptions(folder=arguments.folder / place, resume=True)
            weights = teacher_weights(arguments.task, arguments.data, arguments.folder, seed)
            whole = make_transfer(task, "best", weights, seed)
            settings, transfer = settings_of(whole), VARIANTS[variant](whole)
            result = run(replace(transfer, rounds=arguments.rounds), options)
            measured = measure_run(RunFolder(options.folder), images, name=task.images)
            accuracies.append(percent(measured.student_accuracy))
            seconds.append(result.seconds)
        found = {
            "accuracies": accuracies,
            "mean": round(fmean(accuracies), 2),
            "std": round(stdev(accuracies), 2) if len(accuracies) > 1 else None,
            "seconds_mean": round(fmean(seconds), 1),
        }
        print(json.dumps({"variant": variant, **found}), flush=True)
        rows[variant] = found | {"machine": describe_machine()}
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
