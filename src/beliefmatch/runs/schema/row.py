"""A line of metrics.jsonl: one logged round."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""A logged round by name: the fields of `LoggedRow`, and each loss and gradient norm of source and objective as a
number, such as generator_loss or student_divergence."""


@dataclass(frozen=True, kw_only=True)
class LoggedRow:
    """What every line holds; losses and gradient norms of the method stand beside it as numbers."""

    round: int
    """Rounds completed."""
    seconds: float
    """Training time so far in seconds, over all resumptions."""
    student_steps: int
    """Student steps of the round."""
    student_loss: float
    """Loss of the student, mean over the steps of the round."""
    student_gradient_norm: float
    """Norm of the student's gradient before it is clipped, mean over the steps."""
    student_norm: float
    """L2 norm of all parameters of the student together, after the round."""
    teacher_confidence: float | None = None
    """Probability of the teacher's most likely class in [0, 1], mean over the examples of the round; with several
    labels, of what it predicts of each, mean over labels too. Missing for a regression."""
    student_confidence: float | None = None
    """The student's, likewise."""
    confidence_gap: float | None = None
    """The teacher's confidence less the student's. Missing for a regression."""
    batch_agreement: float | None = None
    """Fraction of the examples to which both networks give the same class, or of their labels that both predict alike,
    in [0, 1]. Missing for a regression."""
    teacher_classes: list[float] | None = None
    """Frequency of each class among those that the teacher gives, in [0, 1]. Missing where outputs are no classes."""
    student_classes: list[float] | None = None
    """Frequency of each class among those that the student gives, in [0, 1]. Missing likewise."""
    student_largest_class: float | None = None
    """Frequency of the class that the student gives most often to a batch, in [0, 1], mean over the steps. Missing
    likewise."""
    teacher_label_frequencies: list[float] | None = None
    """Fraction of the examples for which the teacher predicts each label, in [0, 1]. Missing where outputs are no
    labels."""
    student_label_frequencies: list[float] | None = None
    """Fraction of the examples for which the student predicts each label, in [0, 1]. Missing likewise."""
    teacher_fixed_labels: float | None = None
    """Fraction of the labels that the teacher predicts for all of a batch or for none, in [0, 1], mean over the steps.
    Missing likewise."""
    student_fixed_labels: float | None = None
    """The student's, likewise."""
    batch_r2: float | None = None
    """Part of the variance of the teacher's numbers that the student's explain in a batch, at most 1, mean over the
    steps. Missing where outputs are no numbers."""
    teacher_spread: float | None = None
    """Standard deviation of the teacher's numbers over a batch, in the unit of the loss, mean over the steps. Missing
    likewise."""
    student_spread: float | None = None
    """The student's, likewise."""
    batch_diversity: float | None = None
    """Standard deviation over the examples of a batch before they are augmented, as a fraction of the size of its
    inputs. Missing where a batch has one example."""
    generator_diversity: float | None = None
    """The same of what the generator makes at a time. Missing where the source does not log it."""

    def __post_init__(self) -> None:
        if self.student_steps < 1:
            raise ValueError(f"student_steps is {self.student_steps}, expected at least 1")
        absent = [name for name in self._needed() if getattr(self, name) is None]
        if absent:
            raise ValueError(f"{absent[0]} is missing")
        for name in ("classes", "label_frequencies"):
            first, second = getattr(self, f"teacher_{name}"), getattr(self, f"student_{name}")
            if (first is not None or second is not None) and (not first or len(first) != len(second or ())):
                raise ValueError(f"teacher_{name} and student_{name} differ in length or are empty")

    def _needed(self) -> tuple[str, ...]:
        """Return what must stand in a row, by what the outputs predict."""
        if self.teacher_spread is not None:
            return ("batch_r2", "student_spread")
        both = ("teacher_confidence", "student_confidence", "confidence_gap", "batch_agreement")
        if self.teacher_label_frequencies is not None:
            return (*both, "student_label_frequencies", "teacher_fixed_labels", "student_fixed_labels")
        return (*both, "teacher_classes", "student_classes", "student_largest_class")
