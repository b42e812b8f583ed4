"""The interface of a student, and how one is built and inspected."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inspection import Inspection, check_same_classes, inspect
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.output_forms import OutputForm, give_logits
from beliefmatch.networks.outputs import choose_output
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting
from beliefmatch.students.start_from_teacher import start_from_teacher

Start = Literal["fresh", "teacher"]


@dataclass(frozen=True, kw_only=True)
class AbstractStudent(ABC):
    """A way to come by the student network."""

    architecture: str
    """What it is called in student.json, the report and the model card."""
    weights: Path | None = None
    """Safetensors file or state dict to start from. None: fresh weights, or those that it brings."""
    strip_prefix: str | None = None
    """What keys of the weights begin with, such as module.; by default it is detected, and logged."""
    state_key: str | None = None
    """Which of several state dicts in the file of weights, such as ema; None: the only one."""
    start: Start | None = None
    """teacher: what layers of the same name have in the teacher, their first channels where the student is narrower;
    a student of another family starts from fresh weights, of which the run warns. fresh: the weights that it is made
    with. None: the weights that are given, or else what the recipe finds right, which mostly is fresh."""
    outputs: OutputForm | None = None
    """What the network returns: logits; probabilities, which sum to 1; or sigmoid, a probability for each class by
    itself. None: detected by the operators that end its graph and the values that it returns for noise."""
    output: str | None = None
    """Which of several outputs holds them, where that is ambiguous: an index, such as 1 for the second, or a key. None:
    the entry or attribute logits, or the only tensor (batch, classes)."""

    @property
    @abstractmethod
    def has_weights(self) -> bool:
        """Whether weights to start from are given."""

    @abstractmethod
    def build(self, teacher: Teacher) -> nn.Module:
        """Build a network that takes the teacher's inputs and knows its classes, in 32 bits, on the CPU."""


def start_student(student: nn.Module, settings: AbstractStudent, teacher: Teacher) -> nn.Module:
    """Load the weights that settings name into a network just made, or those of the teacher; return it in 32 bits.

    Raises:
        SettingsError: weights are given and another start is asked for.
        WeightsError: the weights cannot be read or do not fit.
    """
    check_start(settings)
    if settings.weights is not None:
        load_given_weights(student, settings)
    elif settings.start == "teacher":
        start_from_teacher(student, teacher.module)
    choose_output(student, settings.output)
    return student.float()


def check_start(settings: AbstractStudent) -> None:
    """Check that weights are not given beside another start.

    Raises:
        SettingsError: they are.
    """
    if settings.start and settings.has_weights:
        raise SettingsError(
            f"{Setting('student.start', settings.start)} contradicts the weights that are given to start from: "
            "leave one out"
        )


def load_given_weights(student: nn.Module, settings: AbstractStudent) -> None:
    """Load the file of weights that settings name into a network just made.

    Raises:
        WeightsError: they cannot be read or do not fit.
    """
    assert settings.weights is not None
    weights = read_weights(settings.weights, state_key=settings.state_key)
    fit_weights(student, weights, name=str(settings.weights), strip_prefix=settings.strip_prefix)


def build_student(settings: AbstractStudent, teacher: Teacher) -> tuple[nn.Module, Inspection]:
    """Build a student and inspect it; see `inspect_student`.

    Raises:
        NetworkError: it cannot be made, does not take the teacher's inputs, or knows other classes.
        BeliefMatchError: see the student's own `build`.
    """
    return inspect_student(settings.build(teacher), teacher, outputs=settings.outputs)


def inspect_student(
    student: nn.Module, teacher: Teacher, *, outputs: OutputForm | None = None
) -> tuple[nn.Module, Inspection]:
    """Return a student with its inspection; a hook converts its outputs to logits where it returns something else.

    Raises:
        NetworkError: it does not take the teacher's inputs, or knows other classes.
    """
    inspection = inspect(student, teacher.spec, role="student", outputs=outputs, task=teacher.task.name)
    check_same_classes(teacher.num_classes, inspection.num_classes, teacher.task.name)
    if not inspection.returns_logits:
        give_logits(student, inspection.outputs, inspection.task)
    return student, inspection
