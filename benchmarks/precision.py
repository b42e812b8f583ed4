"""What 16-bit products cost in accuracy.

    python benchmarks/precision.py [--task digits] [--seeds 0 1 2 3 4] [--rounds N] [--data FOLDER] [--device cpu]

Runs a recipe with the same seeds in fp32 and in bf16-mixed, and measures the last iterate: the digits demo, and MNIST
with LeNet-5 to its half (`zero_shot` with fresh noise). bf16 passes where its mean accuracy is at least that of fp32
less one standard error of the mean in fp32. Runs that were finished are kept in --folder and not run again. Writes
`benchmarks/results/precision_TASK.json`. The last line is one JSON object: {"task", "fp32", "bf16", "standard_error",
"difference", "error_of_difference", "passed"}, in percent of accuracy.
"""

import argparse
import json
import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from beliefmatch import LabelledImages, Network, RunFolder, RunOptions, measure_run, read_images, run
from beliefmatch.demo import run_demo
from beliefmatch.engine.precision import SettledPrecision
from beliefmatch.recipes import zero_shot
from beliefmatch.recipes.zero_shot import KL_OVER_CLASSES
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.students.named import NamedStudent
from machine import describe_machine, write_results

Task = Literal["digits", "mnist"]
PRECISIONS: dict[str, SettledPrecision] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def run_digits(options: RunOptions, seed: int, rounds: int | None) -> float:
    found = run_demo(options, seed=seed, rounds=rounds)
    return 100 * (found.measurement.student_accuracy or 0)


def run_mnist(options: RunOptions, seed: int, rounds: int | None, data: Path) -> float:
    teacher = data / "models" / "mnist" / "lenet5_kennygnw.safetensors"
    transfer = zero_shot(
        teacher=Network(architecture="lenet_5_tanh", weights=teacher),
        student=NamedStudent(architecture="lenet_5_half_tanh"),
        shape=(1, 28, 28),
        mean=(0.1307,),
        std=(0.3081,),
        source=Adversarial(divergence_weight=KL_OVER_CLASSES, fresh_noise=True),
        rounds=300 if rounds is None else rounds,
        seed=seed,
    )
    run(transfer, options)
    test = read_images(data / "mnist" / "test.npz")
    assert isinstance(test, LabelledImages)
    return 100 * (measure_run(RunFolder(options.folder), test.images, test.labels).student_accuracy or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, default=Path("runs/precision"))
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for name, precision in PRECISIONS.items():
            options = RunOptions(
                folder=arguments.folder / f"{arguments.task}_{name}_{seed}",
                resume=True,
                accelerator=arguments.device,
                precision=precision,
            )
            if arguments.task == "digits":
                accuracy = run_digits(options, seed, arguments.rounds)
            else:
                accuracy = run_mnist(options, seed, arguments.rounds, arguments.data)
            seconds = RunFolder(options.folder).read_result().seconds
            row = {"precision": name, "seed": seed, "accuracy": round(accuracy, 2), "seconds": round(seconds, 1)}
            print(json.dumps(row), flush=True)
            rows.append(row)
    each = {name: [row["accuracy"] for row in rows if row["precision"] == name] for name in PRECISIONS}
    means = {name: fmean(found) for name, found in each.items()}
    errors = {name: stdev(found) / math.sqrt(len(found)) for name, found in each.items()}
    summary = {
        "task": arguments.task,
        **{name: round(value, 2) for name, value in means.items()},
        "standard_error": round(errors["fp32"], 2),
        "difference": round(means["bf16"] - means["fp32"], 2),
        "error_of_difference": round(math.hypot(*errors.values()), 2),
        "passed": means["bf16"] >= means["fp32"] - errors["fp32"],
    }
    write_results(f"precision_{arguments.task}", {"machine": describe_machine(), "runs": rows, "summary": summary})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
