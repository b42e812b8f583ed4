"""Few-shot baselines and fine-tuning on small networks and real images.

    python benchmarks/few_shot.py [--task fashion_mnist] [--images-per-class 25] [--rounds 300] [--seeds 0 1 2]
    python benchmarks/few_shot.py --task cifar10 --student FILE [--rates 0.001]

Trains a student on a few real images of each class in four ways: no teacher, KD, AT, KD+AT, and measures the last
iterate on all 10,000 test images. With `--student FILE` it fine-tunes that student, made without data, instead:
batch-norm moving or frozen, with each of the learning rates. Writes `benchmarks/results/few_shot_TASK.json` or
`fine_tune_TASK.json`. The last line is one JSON object: method to accuracy in percent.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from beliefmatch import Adam, FewShot, LabelledImages, Network, RunOptions, Setup, Transfer, read_images
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.recipes import few_shot, fine_tune
from beliefmatch.recipes.few_shot import Method
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies.sweep import Cell, measure_on, sweep
from machine import describe_machine, rounded_spread, table, write_results

TASKS: dict[str, dict[str, Any]] = {
    "mnist": {
        "teacher": "lenet_5_tanh",
        "weights": "lenet5_kennygnw",
        "student": "lenet_5_half_tanh",
        "mean": (0.1307,),
        "std": (0.3081,),
        "shape": (1, 28, 28),
        "train": "train",
        "taps": ("pool1_act",),
        "augmentation": "none",
    },
    "fashion_mnist": {
        "teacher": "lenet_5_bn",
        "weights": "lenet5_bn_shitrit",
        "student": "lenet_5_half_bn",
        "mean": (0.5,),
        "std": (0.5,),
        "shape": (1, 28, 28),
        "train": "train",
        "taps": ("pool1_act",),
        "augmentation": "crop_flip",
    },
    "cifar10": {
        "teacher": "wide_resnet_16_2_raw",
        "weights": "wrn16_2_szamboni",
        "student": "wide_resnet_16_1_raw",
        "mean": CIFAR10.mean,
        "std": CIFAR10.std,
        "shape": CIFAR10.shape,
        "train": "train_subset",
        "taps": None,
        "augmentation": "crop_flip",
    },
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--task", choices=TASKS, default="fashion_mnist")
    parser.add_argument("--images-per-class", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--student", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-2, 1e-3, 1e-4])
    return parser.parse_args()


def make_ways(arguments: argparse.Namespace) -> dict[str, Callable[[int], Transfer]]:
    """Build the ways to train a student by name, each a function of the seed."""
    task = TASKS[arguments.task]
    weights = arguments.data / "models" / arguments.task / f"{task['weights']}.safetensors"
    setup = Setup(
        teacher=Network(architecture=task["teacher"], weights=weights),
        student=NamedStudent(architecture=task["student"], weights=arguments.student),
        shape=task["shape"],
        mean=task["mean"],
        std=task["std"],
        rounds=arguments.rounds,
    )
    source = FewShot(
        images=arguments.data / arguments.task / f"{task['train']}.npz",
        images_per_class=arguments.images_per_class,
        augmentation=task["augmentation"],
    )
    if arguments.student is None:
        return {
            method: lambda seed, method=method: few_shot(
                replace(setup, taps=task["taps"], seed=seed), source=source, method=method
            )
            for method in get_args(Method)
        }
    return {
        f"{rate:g}, batch-norm {'frozen' if frozen else 'moving'}": lambda seed, rate=rate, frozen=frozen: fine_tune(
            replace(setup, seed=seed),
            source=source,
            optimiser=Adam(learning_rate=rate, gradient_clip=5.0),
            freeze_batch_norm=frozen,
        )
        for rate in arguments.rates
        for frozen in (False, True)
    }


def measure_ways(
    ways: dict[str, Callable[[int], Transfer]], seeds: list[int], test: LabelledImages
) -> list[dict[str, Any]]:
    """Train and measure each way with each seed; accuracies of the last iterate, in percent."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cells = [
            Cell(
                name=name,
                transfer=make,
                folder=lambda seed, number=number: folder / f"{number}_{seed}",
                options=RunOptions(folder=folder),
                measure=measure_on(test),
            )
            for number, (name, make) in enumerate(ways.items())
        ]
        rows = []
        for row in sweep(cells, seeds):
            mean, deviation = rounded_spread([100 * value for value in row.values("student_accuracy")], 2)
            rows.append({"method": row.cell.name, "accuracy": mean, "deviation": deviation or 0.0})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    arguments = parse_arguments()
    test = read_images(arguments.data / arguments.task / "test.npz")
    assert isinstance(test, LabelledImages)
    rows = measure_ways(make_ways(arguments), arguments.seeds, test)
    kind = "few_shot" if arguments.student is None else "fine_tune"
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    write_results(f"{kind}_{arguments.task}", {"machine": describe_machine(), "settings": settings, "results": rows})
    print(table(rows))
    print(json.dumps({row["method"]: row["accuracy"] for row in rows}))


if __name__ == "__main__":
    main()
