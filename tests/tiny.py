"""Networks small enough for a test, named on the command line as tests/tiny.py:function."""

from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.recipes import digits, zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.loop import TransferState, start
from beliefmatch.training.prepare import prepare_on
from beliefmatch.training.transfer import Transfer

HERE = Path(__file__)
VECTOR = InputSpec(shape=(12,))


def _mlp(hidden: int, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(12, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def make_mlp_teacher() -> nn.Module:
    """An MLP without batch-norm."""
    return _mlp(32, 1)


def make_mlp_student() -> nn.Module:
    """A smaller MLP without batch-norm."""
    return _mlp(16, 2)


def make_conv_teacher() -> nn.Module:
    """A convnet with batch-norm for 1x8x8, with running statistics unlike those of a fresh layer."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        network(2 * torch.randn(64, 1, 8, 8))
    return network


def make_plain_conv() -> nn.Module:
    """A convnet without batch-norm for 1x8x8."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)
    )


def make_signal_network() -> nn.Module:
    """A classifier of signals of two channels and any length."""
    return nn.Sequential(
        nn.Conv1d(2, 6, 5, padding=2),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 8, 3, padding=1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def make_wide_network() -> nn.Module:
    """A classifier of images of five channels, of any size, with group normalisation."""
    return nn.Sequential(
        nn.Conv2d(5, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def make_vector_generator() -> nn.Module:
    """Noise of six numbers in, vectors of twelve features out."""
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12))


def make_nan_teacher() -> nn.Module:
    """A network whose weights are not finite."""
    network = make_conv_teacher()
    nn.init.constant_(next(network.parameters()), float("nan"))
    return network


def make_dropout_student() -> nn.Module:
    """A convnet with dropout, which draws from torch's own random state."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def make_seven_classes() -> nn.Module:
    """A network that knows seven classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))


def make_plane_network() -> nn.Module:
    """A classifier of points in the plane."""
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


def make_tuple() -> nn.Module:
    """A network that returns something other than logits."""

    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    return Two()


def named(function: str) -> str:
    """Name one of the functions here as an architecture."""
    return f"{HERE}:{function}"


def tiny_transfer(rounds: int = 4, batch_size: int = 8, seed: int = 0) -> Transfer:
    """The digits recipe on tiny networks."""
    transfer = digits(
        Setup(
            teacher=Network(architecture=named("make_conv_teacher")),
            student=NamedStudent(architecture=named("make_dropout_student")),
            rounds=rounds,
            batch_size=batch_size,
            seed=seed,
        )
    )
    return replace(transfer, source=replace(transfer.source, student_steps=2, noise_size=6))


def vector_transfer(rounds: int = 4, batch_size: int = 8, seed: int = 0) -> Transfer:
    """The paper's recipe on vectors, without batch-norm anywhere."""
    return zero_shot(
        Setup(
            teacher=Network(architecture=named("make_mlp_teacher")),
            student=NamedStudent(architecture=named("make_mlp_student")),
            shape=VECTOR.shape,
            rounds=rounds,
            batch_size=batch_size,
            seed=seed,
        )
    )


def image_transfer(rounds: int = 3, batch_size: int = 10, seed: int = 0) -> Transfer:
    """The paper's recipe with attention, on images and networks without batch-norm."""
    return zero_shot(
        Setup(
            teacher=Network(architecture=named("make_plain_conv"), allow_untrained=True),
            student=NamedStudent(architecture=named("make_plain_conv")),
            shape=(1, 8, 8),
            taps=("0",),
            rounds=rounds,
            batch_size=batch_size,
            seed=seed,
        ),
        objective=BeliefMatching(divergence_weight=0.1, attention_weight=2.0),
    )


def begin(
    transfer: Transfer, precision: str = "32-true", student: nn.Module | None = None
) -> tuple[Transfer, TransferState, Teacher, Fabric]:
    """Start a transfer in memory, without a folder, with the student that it names or with another."""
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # pyright: ignore[reportArgumentType]
    prepared = prepare_on(fabric, transfer, student=student)
    state = start(prepared.transfer, prepared.teacher, prepared.student, fabric)
    return prepared.transfer, state, prepared.teacher, fabric
