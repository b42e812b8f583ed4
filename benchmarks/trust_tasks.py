"""Teachers and students whose true agreement is known, for the benchmark that estimates it without data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from beliefmatch import RunFolder
from beliefmatch.networks.examples import AbstractExamples, Inputs
from beliefmatch.networks.loading.network import make_network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.studies.teacher_file import write_teacher
from beliefmatch.training.transfer import Transfer
from tasks import TASKS, Task, make_transfer

SMALL_POOL = ProceduralPool(warm_up=2, made_batch=128, making_steps=10, student_steps=10)
"""As `best` has it, with short rounds, so that eighths of a run differ."""
FAST_GENERATOR = Adversarial(student_steps=5, fresh_noise=True, divergence="l1", batch_norm_weight=1.0)
PUBLIC = "cifar10"
"""Name of the task whose students others have trained and published."""
PUBLIC_TEACHERS = {"wide_resnet_16_2_raw": "wrn16_2_szamboni", "cifar_resnet_20_b": "resnet20_chenyaofo"}
PUBLIC_STUDENTS = {
    "wrn16_1_szamboni_zeroshot_from_wrn16_2": "wide_resnet_16_1_raw",
    "wrn16_1_szamboni_zeroshot_from_wrn40_1": "wide_resnet_16_1_raw",
    "wrn16_1_szamboni_zeroshot_from_wrn40_2": "wide_resnet_16_1_raw",
    "wrn16_1_comp6248_zeroshot": "wide_resnet_16_1",
    "wrn16_1_polo5_kdat_student": "wide_resnet_16_1",
    "wrn16_1_polo5": "wide_resnet_16_1",
}


def features_of_digits() -> tuple[Tensor, Tensor]:
    """Return 64 features of each digit, as a table has them, and labels."""
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    return (pixels.float() - 4.9) / 6.0, labels


def draw_signals() -> tuple[Tensor, Tensor]:
    """Draw sines, square waves and chirps in noise, (7000, 2, 64), and labels, as examples/signals.py does."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        labels, time = torch.randint(3, (7000, 1, 1)), torch.linspace(0, 1, 64)
        angle = 6.28 * ((2 + 4 * torch.rand(labels.shape)) * (time + (labels == 2) * time**2) + torch.rand(7000, 2, 1))
        signals = torch.where(labels == 1, angle.sin().sign(), angle.sin()) + 0.5 * torch.randn(7000, 2, 64)
    return signals, labels.flatten()


def train(network: nn.Module, inputs: Tensor, labels: Tensor, *, epochs: int, learning_rate: float) -> nn.Module:
    """Train a small network on examples by Adam, 64 at a time."""
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for rows in [rows for _ in range(epochs) for rows in torch.randperm(len(inputs)).split(64)]:
        cross_entropy(network(inputs[rows]), labels[rows]).backward()
        optimiser.step()
        optimiser.zero_grad()
    return network


def held_back(draw: Callable[[], tuple[Tensor, Tensor]], start: int) -> Callable[[Path], AbstractExamples]:
    """Return what reads the examples from a row on, which no teacher is trained on."""

    def read(_: Path) -> AbstractExamples:
        inputs, labels = draw()
        return Inputs(inputs=inputs[start:], labels=labels[start:])

    return read


def train_signals(_: Path) -> nn.Module:
    """Train the teacher of signals."""
    inputs, labels = draw_signals()
    network = make_network("fcn_32", in_channels=2, num_classes=3)
    return train(network, inputs[:6000], labels[:6000], epochs=4, learning_rate=3e-3)


def train_features(_: Path) -> nn.Module:
    """Train the teacher of the digits' features."""
    inputs, labels = features_of_digits()
    network = make_network("mlp_128_64", in_channels=64, num_classes=10)
    return train(network, inputs[:1257], labels[:1257], epochs=60, learning_rate=1e-3)


SIGNALS = Task(
    teacher="fcn_32",
    weights=train_signals,
    student="fcn_8",
    shape=(2, 64),
    images="signals that were held back",
    read=held_back(draw_signals, 6000),
    minutes=1,
    machine="one thread",
    num_outputs=3,
)
FEATURES = replace(
    SIGNALS,
    teacher="mlp_128_64",
    weights=train_features,
    student="mlp_32",
    shape=(64,),
    images="features of digits that were held back",
    read=held_back(features_of_digits, 1257),
    num_outputs=None,
)
TRAINED = {
    **{name: TASKS[name] for name in ("digits", "mnist", "mnist_bn", "fashion", "fashion_bn", "adult")},
    "signals": SIGNALS,
    "features": FEATURES,
}
"""Tasks with students that this benchmark trains."""
SMALL = ("digits", "adult", "signals", "features")


@dataclass(frozen=True)
class Recipe:
    """A way to train a student, good or bad."""

    name: str
    """Of the recipe in the library."""
    rounds: int
    settings: dict[str, Any]
    """Of the recipe."""
    start: str | None = None
    """fresh: where the recipe would begin from the teacher."""
    on_small: int = 1
    """Times as many rounds on tasks whose networks are small."""
    student: str | None = None
    """What is made of the teacher instead of the task's student."""

    def transfer(self, name: str, weights: Path, seed: int) -> Transfer:
        """Build the transfer of a task."""
        task = replace(TRAINED[name], student=self.student or TRAINED[name].student)
        made = make_transfer(task, self.name, weights, seed, self.start)
        rounds = self.rounds * (self.on_small if name in SMALL else 1)
        parts = {"source": "source", "objective": "objective", "optimiser": "student_optimiser"}
        return replace(made, rounds=rounds, **{parts[name]: value for name, value in self.settings.items()})


RECIPES = {
    "best": Recipe("best", 24, {"source": SMALL_POOL}),
    "best_fresh": Recipe("best", 24, {"source": SMALL_POOL}, start="fresh"),
    "best_unstable": Recipe(
        "best", 16, {"source": SMALL_POOL, "optimiser": Adam(learning_rate=0.1, gradient_clip=50.0)}, start="fresh"
    ),
    "noise": Recipe("noise", 16, {}),
    "zero_shot": Recipe("zero_shot", 48, {}, on_small=4),
    "adversarial": Recipe(
        "zero_shot", 64, {"source": FAST_GENERATOR, "objective": BeliefMatching(divergence="l1"),
                          "optimiser": Adam(learning_rate=1e-2, gradient_clip=5.0)},
        on_small=4,
    ),
}  # fmt: skip
HELD_OUT = {
    f"best_without_{family}": Recipe("best", 24, {"source": replace(SMALL_POOL, **held_out)})
    for family, held_out in {
        "leaves": {"leaf_fraction": 0.0},
        "areas": {"curve_fraction": 1.0},
        "curves": {"curve_fraction": 0.0},
        "refined": {"refined_fraction": 0.0},
    }.items()
}
"""Recipes that never train on one of the families that a probe holds; for images, and teachers with batch-norm."""
OF_TEACHER = {
    name: Recipe("best", 8, {"source": SMALL_POOL}, student=student)
    for name, student in {
        "pruned_half": "thin:0.5", "w4a8": "quantized:w4a8", "w2a4": "quantized:w2a4",
    }.items()
}  # fmt: skip
"""Recipes whose students are their teacher, pruned or in few bits."""


def trained_weights(name: str, folder: Path, data: Path) -> Path:
    """Return the file of a task's teacher; train it first where it is ours."""
    weights = TRAINED[name].weights
    if isinstance(weights, str):
        return data / "models" / f"{weights}.safetensors"
    kept = RunFolder(folder / f"teacher_{name}")
    write_teacher(kept, lambda: weights(data), seed=0, resume=True)
    return kept.path / TEACHER_FILE


class Rescaled(nn.Module):
    """A student whose user gave the wrong normalisation."""

    def __init__(self, student: nn.Module, factor: float, offset: float) -> None:
        super().__init__()
        self.student, self.factor, self.offset = student, factor, offset

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the student's outputs for what it takes the inputs for."""
        return self.student(self.factor * inputs + self.offset)


def lose_class(student: nn.Module, number: int) -> nn.Module:
    """Return a student, changed in place, that never gives a class: its row of the last layer is 0, its bias low."""
    layer = [each for each in student.modules() if isinstance(each, nn.Linear)][-1]
    with torch.no_grad():
        layer.weight[number % len(layer.weight)] = 0
        layer.bias[number % len(layer.weight)] = -100
    return student


def disturb(student: nn.Module, size: float) -> nn.Module:
    """Return a student, changed in place, whose weights have noise of a size relative to their deviation."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in student.parameters():
            if each.dim() > 1:
                each.add_(size * each.std() * torch.randn(each.shape, generator=random))
    return student


def broken(copy: Callable[[], nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Yield by name students that are broken on purpose.

    Args:
        copy: of a student that is not, in eval mode.
    """
    yield "brighter", Rescaled(copy(), 1.0, 0.7)
    yield "wrong_scale", Rescaled(copy(), 0.5, -0.3)
    yield "class_lost", lose_class(copy(), 3)
    for size in (0.2, 0.5, 1.0):
        yield f"disturbed_{size}", disturb(copy(), size)
