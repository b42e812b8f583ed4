"""Teachers, their students and the images that tell how good a student is, for benchmarks that transfer."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from beliefmatch import Network, RunFolder, RunOptions, measure_run, read_examples, read_images, recipes
from beliefmatch.data.digits import read_digits
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.networks.examples import AbstractExamples, Images
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.atomic import make_folder, write_json
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies.demo import train_teacher
from beliefmatch.studies.sweep import Cell, Measure
from beliefmatch.studies.teacher_file import write_teacher
from beliefmatch.training.budget import time_rounds
from beliefmatch.training.transfer import Transfer
from labelled import read_labelled_images
from mnist_teachers import CNN_16, CNN_28, LENET_BN, LENET_TANH, MEAN, STD, TANH_CNN_3, MnistTeacher, train_network
from reference.mobilenet import make_mobilenet

SPARE = 0.85
"""Fraction of the budget that rounds are planned for; logs, pictures and checkpoints take some of the rest, and a
machine that does other work slows down by more than a tenth from one minute to the next."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A teacher, its student, how long a run may take, and what the student is measured on."""

    teacher: str
    weights: str | Callable[[Path], nn.Module]
    """A file in the folder of data, or what trains a teacher from there, which does not count into the time."""
    student: str
    shape: tuple[int, ...]
    images: str
    """What the student is measured on, in words."""
    read: Callable[[Path], AbstractExamples]
    """Reads those from the folder of data."""
    minutes: float
    machine: str
    """What the minutes are meant for."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    num_outputs: int | None = None
    """Of the teacher, where there are not ten."""


def read_file(name: str) -> Callable[[Path], Images]:
    return lambda data: read_images(data / name)


def learn_mnist(teacher: MnistTeacher, student: str, *, minutes: float = 2) -> Task:
    """Return the task of a teacher of our own, measured on training images that it did not see."""
    return Task(
        teacher=teacher.architecture,
        weights=teacher.train,
        student=student,
        shape=teacher.shape,
        images="training images of MNIST that were held out",
        read=teacher.read_held_out,
        minutes=minutes,
        machine="one thread",
        mean=MEAN,
        std=STD,
        num_outputs=teacher.num_classes,
    )


def train_mobilenet(data: Path) -> nn.Module:
    """Train a network of depthwise convolutions (three epochs, Adam, a cosine)."""
    examples = read_labelled_images(data / "fashion_mnist/train.npz")
    inputs = InputSpec(shape=MOBILENET.shape, mean=MOBILENET.mean, std=MOBILENET.std).from_pixels(examples.images)
    network = make_mobilenet()
    train_network(network, inputs, examples.labels, epochs=3)
    return network


RESNET8 = Path(__file__).parent / "reference" / "keras_resnet.py"
"""A teacher of pixels from 0 to 255: those in [0, 1], divided by 1 / 255."""

FASHION_BN = Task(
    teacher="lenet_5_bn",
    weights="fashion_mnist/lenet5_bn_shitrit",
    student="lenet_5_half_bn",
    shape=(1, 28, 28),
    images="fashion_mnist/test.npz",
    read=read_file("fashion_mnist/test.npz"),
    minutes=10,
    machine="one thread",
    mean=(0.5,),
    std=(0.5,),
)
MOBILENET = replace(
    FASHION_BN,
    teacher=f"{Path(__file__).parent / 'reference' / 'mobilenet.py'}:make_mobilenet",
    weights=train_mobilenet,
    student="quantized:w4a4",
)
"""A network of depthwise convolutions of our own training."""
CIFAR10 = Task(
    teacher="wide_resnet_40_1",
    weights="cifar10/wrn40_1_ferles_s0",
    student="wide_resnet_16_1",
    shape=(3, 32, 32),
    images="cifar10/test.npz",
    read=read_file("cifar10/test.npz"),
    minutes=30,
    machine="2 cores",
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
)
TASKS = {
    "digits": Task(
        teacher="convnet_32",
        weights=lambda _: train_teacher(read_digits()[0]),
        student="convnet_8",
        shape=(1, 8, 8),
        images="digits that were held back",
        read=lambda _: read_digits()[1],
        minutes=2,
        machine="2 cores",
        mean=(0.3053,),
        std=(0.3761,),
    ),
    "mnist": Task(
        teacher="lenet_5_tanh",
        weights="mnist/lenet5_kennygnw",
        student="lenet_5_half_tanh",
        shape=(1, 28, 28),
        images="mnist/test.npz",
        read=read_file("mnist/test.npz"),
        minutes=5,
        machine="one thread",
        mean=(0.1307,),
        std=(0.3081,),
    ),
    "mnist_bn": learn_mnist(LENET_BN, "lenet_5_half_bn", minutes=5),
    "mnist_tanh": learn_mnist(LENET_TANH, "lenet_5_half_tanh", minutes=5),
    "mnist_other_16": learn_mnist(CNN_16, "convnet_16"),
    "mnist_other_28": learn_mnist(CNN_28, "lenet_5_half"),
    "mnist_other_tanh_3": learn_mnist(TANH_CNN_3, "lenet_5_half_tanh"),
    "fashion_bn": FASHION_BN,
    "fashion": replace(FASHION_BN, teacher="lenet_5", weights="fashion_mnist/lenet5_shitrit", student="lenet_5_half"),
    "adult": Task(
        teacher="mlp_20",
        weights="adult/mlp_dice",
        student="mlp_8",
        shape=(29,),
        images="adult/test.npz",
        read=lambda data: read_examples(data / "adult/test.npz"),
        minutes=1,
        machine="one thread",
        num_outputs=1,
    ),
    "cifar10_wrn": CIFAR10,
    "cifar10_wrn_3h": replace(CIFAR10, minutes=180),
    "cifar10_wrn_gpu": replace(CIFAR10, minutes=10, machine="one GPU"),
    "cifar10_wrn_half_width_3h": replace(
        CIFAR10, teacher="wide_resnet_16_2", weights="cifar10/wrn16_2_ferles_s0", minutes=180
    ),
    "cifar10_held_out": replace(
        CIFAR10,
        teacher="cifar_resnet_20_b",
        weights="cifar10/resnet20_chenyaofo",
        student="cifar_resnet_8_b",
        images="cifar10/train_subset.npz",
        read=read_file("cifar10/train_subset.npz"),
    ),
    "cifar10_resnet8": replace(
        CIFAR10,
        teacher=f"{RESNET8}:make_resnet8",
        weights="cifar10/resnet8_mlperftiny",
        student="convnet_32",
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
    ),
    "cifar10_resnet_gpu": replace(
        CIFAR10,
        teacher="cifar_resnet_56",
        weights="cifar10/resnet56_akamaster",
        student="cifar_resnet_20",
        minutes=10,
        machine="one GPU",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}


def teacher_weights(name: str, data: Path, folder: Path, seed: int, task: Task | None = None) -> Path:
    """Return the file of a task's teacher, or train it with the run's seed and write it."""
    weights = (task or TASKS[name]).weights
    if isinstance(weights, str):
        return data / "models" / f"{weights}.safetensors"
    teacher_folder = RunFolder(folder / f"teacher_{name}_{seed}")
    write_teacher(teacher_folder, lambda: weights(data), seed=seed, resume=True)
    return teacher_folder.path / TEACHER_FILE


def make_transfer(task: Task, recipe: str, weights: Path, seed: int, start: str | None = None) -> Transfer:
    """Build a recipe's transfer from a task's teacher, at the recipe's own settings."""
    teacher = Network(architecture=task.teacher, weights=weights, num_classes=task.num_outputs)
    student = NamedStudent(architecture=task.student, start="fresh" if start == "fresh" else None)
    setup = recipes.Setup(teacher=teacher, student=student, shape=task.shape, mean=task.mean, std=task.std, seed=seed)
    return recipes.ALL[recipe](setup)


def measure_images(task: Task, data: Path) -> Measure[Measurement]:
    """Return what measures a run on the images of a task."""
    images = task.read(data)
    trusted = [task.teacher]
    return lambda folder, _transfer: measure_run(folder, images, name=task.images, resize=True, trust_code=trusted)


def resolve_rounds(transfer: Transfer, folder: Path, seconds: float) -> int:
    """Time rounds once, and keep their number for whoever resumes."""
    kept = folder / "rounds.json"
    if not kept.is_file():
        make_folder(folder)
        rounds = time_rounds(transfer, RunOptions(folder=folder), seconds).rounds
        write_json(kept, {"rounds": rounds, "seconds": seconds})
    return json.loads(kept.read_text())["rounds"]


def timed_cell(
    name: str, task: Task, transfer: Callable[[int], Transfer], arguments: argparse.Namespace
) -> Cell[Measurement]:
    """Return the runs of a task that take a share of its time, or so many rounds as were asked for.

    Args:
        name: of the runs, and of their folder.
        task: gives time and images.
        transfer: of a seed, with any number of rounds.
        arguments: of the command: folder, data, share and rounds.
    """
    folder = arguments.folder / name
    seconds = 60 * task.minutes * arguments.share * SPARE

    def planned(seed: int) -> Transfer:
        made = transfer(seed)
        return replace(made, rounds=arguments.rounds or resolve_rounds(made, folder, seconds))

    return Cell(
        name=name,
        transfer=planned,
        folder=lambda seed: folder / f"seed_{seed}",
        options=RunOptions(folder=folder, resume=True),
        measure=measure_images(task, arguments.data),
    )


def percent(fraction: float | None) -> float:
    """Return an accuracy that was measured, in percent."""
    assert fraction is not None
    return round(100 * fraction, 2)
