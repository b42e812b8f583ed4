"""The interface of a student, and how one is built and inspected."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from beliefmatch.networks.inspection import Inspection, check_same_classes, inspect
from beliefmatch.networks.output_forms import OutputForm, give_logits
from beliefmatch.networks.teacher import Teacher


@dataclass(frozen=True, kw_only=True)
class AbstractStudent(ABC):
    """A way to come by the student network."""

    outputs: OutputForm | None = None
    """What the network returns: logits; probabilities, which sum to 1; or sigmoid, a probability for each class by
    itself. None: detected by the values that it returns for noise."""

    @abstractmethod
    def build(self, teacher: Teacher) -> nn.Module:
        """Build a network that takes the teacher's inputs and knows its classes, in 32 bits, on the CPU."""


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
    inspection = inspect(student, teacher.spec, role="student", outputs=outputs)
    check_same_classes(teacher.num_classes, inspection.num_classes)
    if not inspection.returns_logits:
        give_logits(student, inspection.outputs)
    return student, inspection
