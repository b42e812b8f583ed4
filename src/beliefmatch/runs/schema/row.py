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
    teacher_confidence: float
    """Probability of the teacher's most likely class in [0, 1], mean over the examples of the round."""
    student_confidence: float
    """Probability of the student's most likely class in [0, 1], likewise."""
    confidence_gap: float
    """The teacher's confidence less the student's."""
    batch_agreement: float
    """Fraction of the examples to which both networks give the same class, in [0, 1]."""
    teacher_classes: list[float]
    """Frequency of each class among those that the teacher gives, in [0, 1]."""
    student_classes: list[float]
    """Frequency of each class among those that the student gives, in [0, 1]."""
    student_largest_class: float
    """Frequency of the class that the student gives most often to a batch, in [0, 1], mean over the steps."""
    batch_diversity: float | None = None
    """Standard deviation over the examples of a batch before they are augmented, as a fraction of the size of its
    inputs. Missing where a batch has one example."""
    generator_diversity: float | None = None
    """The same of what the generator makes at a time. Missing where the source does not log it."""

    def __post_init__(self) -> None:
        if self.student_steps < 1:
            raise ValueError(f"student_steps is {self.student_steps}, expected at least 1")
        if not self.teacher_classes or len(self.teacher_classes) != len(self.student_classes):
            raise ValueError("teacher_classes and student_classes differ in length or are empty")
