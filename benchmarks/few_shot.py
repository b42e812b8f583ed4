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
from pathlib import Path
from statistics import mean, stdev
from typing import Any, get_args

from beliefmatch import LabelledImages, Network, RunFolder, RunOptions, Transfer, measure_run, read_images, run
from beliefmatch.networks.inputs import CIFAR10
from beliefmatch.recipes import few_shot, fine_tune
from beliefmatch.recipes.few_shot import Method
from beliefmatch.students.named import NamedStudent
from machine import describe_machine, table, write_results

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


def accuracies(make: Callable[[int], Transfer], seeds: list[int], test: LabelledImages) -> list[float]:
    """Run each seed in a folder of its own and measure its last iterate, in percent."""
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "run"
            run(make(seed), RunOptions(folder=place))
            measured = measure_run(RunFolder(place), test.images, test.labels)
            found.append(100 * (measured.student_accuracy or 0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--task", choices=TASKS, default="fashion_mnist")
    parser.add_argument("--images-per-class", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--student", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-2, 1e-3, 1e-4])
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    images = arguments.data / arguments.task
    test = read_images(images / "test.npz")
    assert isinstance(test, LabelledImages)
    weights = arguments.data / "models" / arguments.task / f"{task['weights']}.safetensors"
    shared: dict[str, Any] = {
        "teacher": Network(architecture=task["teacher"], weights=weights),
        "images": images / f"{task['train']}.npz",
        "images_per_class": arguments.images_per_class,
        "shape": task["shape"],
        "mean": task["mean"],
        "std": task["std"],
        "augmentation": task["augmentation"],
        "rounds": arguments.rounds,
    }
    student = NamedStudent(architecture=task["student"], weights=arguments.student)
    ways: dict[str, Callable[[int], Transfer]] = {}
    if arguments.student is None:
        for method in get_args(Method):
            ways[method] = lambda seed, method=method: few_shot(
                **shared, student=student, method=method, taps=task["taps"], seed=seed
            )
    else:
        for rate in arguments.rates:
            for frozen in (False, True):
                name = f"{rate:g}, batch-norm {'frozen' if frozen else 'moving'}"
                ways[name] = lambda seed, rate=rate, frozen=frozen: fine_tune(
                    **shared, student=student, student_learning_rate=rate, freeze_batch_norm=frozen, seed=seed
                )
    rows = []
    for name, make in ways.items():
        values = accuracies(make, arguments.seeds, test)
        spread = stdev(values) if len(values) > 1 else 0.0
        rows.append({"method": name, "accuracy": round(mean(values), 2), "deviation": round(spread, 2)})
        print(json.dumps(rows[-1]), flush=True)
    kind = "few_shot" if arguments.student is None else "fine_tune"
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    write_results(f"{kind}_{arguments.task}", {"machine": describe_machine(), "settings": settings, "results": rows})
    print(table(rows))
    print(json.dumps({row["method"]: row["accuracy"] for row in rows}))


if __name__ == "__main__":
    main()
