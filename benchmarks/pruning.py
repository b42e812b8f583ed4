"""How good a student gets that is made by pruning its teacher, before and after recovery without data.

    python benchmarks/pruning.py --task resnet20 [--student thin:0.5] [--real 10000] [--seeds 0] [--share 1]

Accuracy of the teacher, of the student before any step, and after as many rounds as fit the task's time, on test
images that nothing before had seen. --real recovers on so many real images of the training set instead, which data-free
methods are compared with. Runs that were finished are kept in --folder and not run again; one that was cut short goes
on. Writes `benchmarks/results/pruning_TASK_STUDENT.json` (with real, the share or the rounds in its name, where given).
The last line is one JSON object: {"task", "student", "real", "teacher", "before", "after_mean", "after_std", "macs",
"parameters", "latency"}: accuracies in percent, the rest as parts of the teacher's.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from beliefmatch import Network, Unlabelled, recipes
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.networks.teacher import Teacher
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.studies.sweep import Outcome, sweep
from beliefmatch.training.transfer import Transfer
from labelled import measure_accuracy
from machine import describe_machine, rounded_spread, write_results
from tasks import CIFAR10, FASHION_BN, Task, percent, timed_cell

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
RESNET20 = replace(CIFAR10, teacher="cifar_resnet_20", weights="cifar10/resnet20_akamaster", **IMAGENET)
RESNET56 = replace(RESNET20, teacher="cifar_resnet_56", weights="cifar10/resnet56_akamaster", minutes=180)
TASKS = {
    "resnet20": RESNET20,
    "resnet56": RESNET56,
    "resnet56_gpu": replace(RESNET56, minutes=10, machine="one GPU"),
    "wrn16_2": replace(CIFAR10, teacher="wide_resnet_16_2", weights="cifar10/wrn16_2_ferles_s0"),
    "fashion_bn": FASHION_BN,
}
REAL = {"cifar10": "cifar10/train_subset.npz", "fashion_mnist": "fashion_mnist/train.npz"}
"""By folder of a teacher: real images of its training set."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--student", default="thin:0.5")
    parser.add_argument("--real", type=int, help="recover on so many real images")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the time to take")
    parser.add_argument("--rounds", type=int, help="so many instead of those that fit, to show that it runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/pruning"))
    return parser.parse_args()


def name_runs(arguments: argparse.Namespace) -> str:
    name = f"{arguments.task}_{arguments.student}".replace(":", "_").replace("=", "_")
    name += f"_real_{arguments.real}" if arguments.real else ""
    name += f"_share_{arguments.share:g}" if arguments.share != 1 else ""
    return name + (f"_rounds_{arguments.rounds}" if arguments.rounds else "")


def make_transfer(arguments: argparse.Namespace, task: Task, seed: int) -> Transfer:
    assert isinstance(task.weights, str)
    setup = recipes.Setup(
        teacher=Network(architecture=task.teacher, weights=arguments.data / "models" / f"{task.weights}.safetensors"),
        student=NamedStudent(architecture=arguments.student),
        shape=task.shape,
        mean=task.mean,
        std=task.std,
        seed=seed,
    )
    if arguments.real is None:
        return recipes.best(setup)
    images = arguments.data / REAL[task.weights.partition("/")[0]]
    return recipes.unlabelled(setup, source=Unlabelled(images=images, num_images=arguments.real, augmentation="crop"))


def measure_before(transfer: Transfer, task: Task, data: Path) -> float:
    """Measure the student as pruning leaves it, in percent."""
    teacher = Teacher.load(transfer.teacher, transfer.inputs)
    assert isinstance(transfer.student, PrunedStudent)
    return percent(measure_accuracy(transfer.student.build(teacher), transfer.inputs, task.read(data)))


def part(student: float | None, teacher: float | None) -> float:
    """Return what the student has of the teacher's, which was measured."""
    assert student is not None
    assert teacher is not None
    return round(student / teacher, 4)


def describe(outcome: Outcome[Measurement]) -> dict[str, Any]:
    result = outcome.result
    assert result is not None
    return {
        "seed": outcome.seed,
        "after": percent(result.student_accuracy),
        "teacher": percent(result.teacher_accuracy),
        "seconds": result.seconds,
        "rounds": result.rounds,
        "macs": part(result.student_macs, result.teacher_macs),
        "parameters": part(result.student_parameters, result.teacher_parameters),
        "latency": part(result.student_latency, result.teacher_latency),
    }


def main() -> None:
    arguments = parse_arguments()
    name, task = name_runs(arguments), TASKS[arguments.task]
    before = measure_before(make_transfer(arguments, task, arguments.seeds[0]), task, arguments.data)
    print(json.dumps({"before": before}), flush=True)
    cell = timed_cell(name, task, lambda seed: make_transfer(arguments, task, seed), arguments)
    (row,) = sweep([cell], arguments.seeds, report=lambda outcome: print(json.dumps(describe(outcome)), flush=True))
    runs = [describe(outcome) for outcome in row.outcomes]
    mean, deviation = rounded_spread([run["after"] for run in runs], 2)
    summary = {
        "task": arguments.task,
        "student": arguments.student,
        "real": arguments.real,
        "teacher": runs[0]["teacher"],
        "before": before,
        "after_mean": mean,
        "after_std": deviation,
        **{part: runs[0][part] for part in ("macs", "parameters", "latency")},
    }
    results = {
        "machine": describe_machine(),
        "minutes": None if arguments.rounds else task.minutes * arguments.share,
        "meant_for": task.machine,
        "runs": runs,
        "summary": summary,
    }
    write_results(f"pruning_{name}", results)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
