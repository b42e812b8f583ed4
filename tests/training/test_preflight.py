"""Which sources need which gradients, and what is said where they do not arrive."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch import RunOptions, compress
from beliefmatch.errors import NetworkError
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.training.preflight import check_gradients
from tiny import make_conv_teacher, make_plain_conv


class Rounding(nn.Module):
    """Rounds its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = make_conv_teacher()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.round())


class Deciding(nn.Module):
    """Gives its class alone, so that of its gradients those of its batch-norm are all there are."""

    def __init__(self) -> None:
        super().__init__()
        self.body = make_conv_teacher()

    def forward(self, x: Tensor) -> Tensor:
        return 9 * nn.functional.one_hot(self.body(x).argmax(dim=1), 10).float()


NOTHING = InversionLossWeights(l2=1.0)
STATISTICS = InversionLossWeights(statistics=1.0)
ANSWERS = InversionLossWeights(one_hot=1.0)
BOTH = InversionLossWeights(adversarial=1.0)


def check(source: AbstractSource[Any], teacher: nn.Module, student: nn.Module) -> None:
    check_gradients(source, Teacher(teacher, DIGITS), student, inspect(student, DIGITS, role="student"))


@pytest.mark.parametrize(
    "source",
    [Adversarial(), FreePoints(), Dafl(), DeepInversion(), Cmi(terms=NOTHING), DeepInversion(terms=STATISTICS)],
)
def test_a_source_that_follows_the_teacher_refuses_one_that_rounds(source: AbstractSource[Any]) -> None:
    message = (
        rf"no gradient of the teacher's .* reaches its inputs, which {type(source).__name__} follows"
        if source == DeepInversion(terms=STATISTICS)
        else rf"no gradient reaches the inputs of the teacher, which {type(source).__name__} follows: take a recipe"
    )
    with pytest.raises(NetworkError, match=message) as caught:
        check(source, Rounding(), make_plain_conv())
    assert "\n" not in str(caught.value)
    check(source, make_conv_teacher(), make_plain_conv())


@pytest.mark.parametrize("source", [Noise(), ProceduralPool(refined_fraction=0), DeepInversion(terms=NOTHING)])
def test_a_source_that_follows_none_takes_any_teacher_and_student(source: AbstractSource[Any]) -> None:
    check(source, Rounding(), Rounding())


def test_statistics_alone_need_no_gradient_of_the_answers() -> None:
    check(DeepInversion(terms=STATISTICS), Deciding(), make_plain_conv())
    with pytest.raises(NetworkError, match="no gradient reaches the inputs of the teacher"):
        check(DeepInversion(terms=replace(STATISTICS, balance=1.0)), Deciding(), make_plain_conv())


def test_the_student_is_checked_where_it_is_followed() -> None:
    with pytest.raises(NetworkError, match="no gradient reaches the inputs of the student, which Adversarial follows"):
        check(Adversarial(), make_conv_teacher(), Rounding())
    with pytest.raises(NetworkError, match="the student"):
        check(DeepInversion(terms=BOTH), make_conv_teacher(), Rounding())
    check(DeepInversion(terms=ANSWERS), make_conv_teacher(), Rounding())


def test_a_student_that_begins_with_a_head_of_zeros_is_taken_as_it_is() -> None:
    student = make_plain_conv()
    head = [module for module in student.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.zeros_(head.weight)
    check(Adversarial(), make_conv_teacher(), student)
    assert torch.equal(head.weight, torch.zeros_like(head.weight))


class Detaching(nn.Module):
    """Returns outputs without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body = make_plain_conv()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).detach()


class Leaving(Detaching):
    """Hands its batch to numpy, which knows no 16-bit floats."""

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + float(self.body(x).detach().numpy().sum() * 0)


def closing() -> nn.Module:
    """A network whose pass is a function that holds its layers, which a copy would share."""
    student = make_plain_conv()
    body = nn.Sequential(*student.children())
    student.forward = lambda x: body(x)  # noqa: PLW0108
    return student


NO_GRADIENT = "no gradient reaches any parameter of the student, so nothing would be trained"


@pytest.mark.parametrize("wants", [{"rounds": 1}, {"minutes": 0.05}], ids=["rounds", "minutes"])
@pytest.mark.parametrize(
    ("student", "message"),
    [
        (closing(), NO_GRADIENT),
        (Detaching(), NO_GRADIENT),
        (make_plain_conv().requires_grad_(requires_grad=False), "no parameter of the student takes a gradient"),
        (Leaving(), r"a first round in train mode fails: TypeError: .*BFloat16.* precision='32-true'"),
    ],
    ids=["closing", "detaching", "frozen", "leaving"],
)
def test_what_a_round_cannot_train_is_said_in_one_line(
    tmp_path: Path, student: nn.Module, message: str, wants: dict[str, Any]
) -> None:
    before = copy.deepcopy([each.data for each in student.parameters()])
    options = RunOptions(folder=tmp_path / "unused", accelerator="cpu", precision="bf16-mixed")
    with pytest.raises(NetworkError, match=message) as caught:
        compress(
            make_conv_teacher(),
            student,
            shape=(1, 8, 8),
            recipe="noise",
            batch_size=4,
            folder=tmp_path / "run",
            options=options,
            progress=False,
            **wants,
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert all(torch.equal(*each) for each in zip(before, student.parameters(), strict=True))
