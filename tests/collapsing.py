"""Networks and generators that collapse on purpose, named on the command line as tests/collapsing.py:function."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from beliefmatch.networks.loading.network import Network
from beliefmatch.optimisers import Adam
from beliefmatch.recipes import digits
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

ROUNDS = 45
"""A collapse is named in round 41: after twenty of ten steps that do not count, and twenty-one that look so."""
STILL = 1e-9
"""Learning rate of what shall stay as it is."""


class Constant(nn.Module):
    """Gives the same input to any noise."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = nn.Linear(6, 1)
        self.pattern = nn.Parameter(torch.linspace(-1, 1, 64).view(1, 1, 8, 8))

    def forward(self, noise: Tensor) -> Tensor:
        return self.pattern + 0 * self.reading(noise)[..., None, None]


def make_constant_generator() -> nn.Module:
    """A generator that lost its noise."""
    return Constant()


def make_generator() -> nn.Module:
    """A generator that is small and fast."""
    return nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.Unflatten(1, (1, 8, 8)))


def _linear(scale: float, seed: int, bias: float = 0.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        last = nn.Linear(64, 10)
        nn.init.normal_(last.weight, std=scale)
    with torch.no_grad():
        last.bias.zero_()[3] = bias
    return nn.Sequential(nn.Flatten(), last)


def make_teacher() -> nn.Module:
    """A network that gives all ten classes to noise, and is neither sure nor unsure."""
    return _linear(0.2, 1)


def make_one_class() -> nn.Module:
    """A student that gives class 3 to all, without being sure."""
    return _linear(0.01, 2, bias=3.0)


def make_sure() -> nn.Module:
    """A student that is sure of everything, and knows nothing."""
    return _linear(1e6, 3)


def make_unsure() -> nn.Module:
    """A student that is sure of nothing."""
    return _linear(1e-5, 4)


def make_deep_student() -> nn.Module:
    """A student whose units die where it learns too fast; what is left are biases, and so one class."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


def make_deep_generator() -> nn.Module:
    """A generator whose units die where it learns too fast; what is left is one image."""
    hidden = [layer for size in (6, 8, 8) for layer in (nn.Linear(size, 8), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(8, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))


def make_stranger() -> nn.Module:
    """A student of the teacher's kind that knows other classes."""
    return _linear(0.2, 5)


def make_unlucky() -> nn.Module:
    """A student that gives one class if it is made with seed 0, and answers as the teacher does with any other."""
    return make_one_class() if torch.initial_seed() == 0 else make_teacher()


def named(function: str) -> str:
    """Name one of the functions here."""
    return f"{Path(__file__)}:{function}"


def collapsing_transfer(kind: str, *, seed: int = 0) -> Transfer:
    """Make a transfer that collapses in this way and no other; `unsure` is pinned at 1 / classes, and `unlucky`
    gives one class with seed 0 alone.
    """
    student = {
        "one_class": "make_one_class",
        "pinned": "make_sure",
        "unsure": "make_unsure",
        "unlucky": "make_unlucky",
        "learns_nothing": "make_stranger",
    }.get(kind, "make_teacher")
    generator = "make_constant_generator" if kind == "constant_source" else "make_generator"
    is_diverging = kind == "diverged"
    return _transfer(
        student,
        # The preflight runs one round, so it takes more than one.
        1e38 if is_diverging else STILL,
        generator,
        STILL,
        student_steps=1 if is_diverging else 10,
        seed=seed,
    )


def hurried_transfer(kind: str) -> Transfer:
    """Make a transfer between sound networks that learns too fast, and collapses in this way by that alone."""
    return {
        "one_class": _transfer("make_deep_student", 10.0, "make_generator", 1e-3),
        "constant_source": _transfer("make_deep_student", 1e-2, "make_deep_generator", 1.0),
        "pinned": _transfer("make_unsure", 1e5, "make_generator", 1e-3),
    }[kind]


def _transfer(
    student: str, rate: float, generator: str, generator_rate: float, *, student_steps: int = 10, seed: int = 0
) -> Transfer:
    transfer = digits(
        Setup(
            teacher=Network(architecture=named("make_teacher")),
            student=NamedStudent(architecture=named(student)),
            rounds=ROUNDS,
            batch_size=32,
            seed=seed,
        ),
        source=Adversarial(
            noise_size=6, student_steps=student_steps, learning_rate=generator_rate, generator=named(generator)
        ),
    )
    return replace(transfer, student_optimiser=Adam(learning_rate=rate, gradient_clip=5.0))
