"""What the outputs of a network predict, and all that follows from it: one class for each task.

How far two networks are apart, what a prediction is, what a round logs of both, and by what a pool's draws are
balanced. Whatever depends on the task asks the teacher's; nothing else decides by its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from beliefmatch.errors import SettingsError
from beliefmatch.functional.classification import agreement, class_frequencies, confidence, correct
from beliefmatch.functional.divergences import DIVERGENCES, Divergence, DivergenceName
from beliefmatch.functional.multi_label import (
    binary_js_divergence,
    binary_kl_divergence,
    l1_distance,
    label_agreement,
    label_confidence,
    label_frequencies,
    predicted_labels,
)
from beliefmatch.functional.regression import explained_variance, gaussian_divergence, spread
from beliefmatch.runs.schema.task import DESCRIPTIONS, TaskName

ROUNDED = 100.0
"""Times the rounding that decides between classes, up to which a number is the same: errors of a whole network."""


@dataclass(frozen=True)
class AbstractTask(ABC):
    """What outputs predict. It holds nothing that moves."""

    name: ClassVar[TaskName]
    divergences: ClassVar[Mapping[DivergenceName, Divergence]]
    """How far two networks are apart, (batch,), by the names that settings have."""
    knows_classes: ClassVar[bool] = False
    """Whether one of several classes is right, as terms need that ask an input for a class."""

    @property
    def description(self) -> str:
        """Return what a network of this task is."""
        return DESCRIPTIONS[self.name]

    def divergence(self, name: DivergenceName) -> Divergence:
        """Return a divergence by its name.

        Raises:
            SettingsError: it has no meaning for these outputs.
        """
        if name not in self.divergences:
            known = " or ".join(self.divergences)
            raise SettingsError(f"the divergence {name} has no meaning for {self.description}: take {known}")
        return self.divergences[name]

    @abstractmethod
    def is_alike(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Whether both networks' outputs (batch, outputs) predict the same, (batch,), bool."""

    @abstractmethod
    def groups(self, outputs: Tensor) -> Tensor:
        """Return the group of each example, by which draws are balanced, (batch,), int64."""

    @abstractmethod
    def count_groups(self, num_outputs: int) -> int:
        """Return the number of groups."""

    @abstractmethod
    def match(self, expected: Tensor, found: Tensor, rounding: float) -> Tensor:
        """Compute how much two networks that should be equal predict alike, but for rounding.

        Args:
            expected: (batch, outputs), of one.
            found: likewise, of the other.
            rounding: differences that count as none, as a fraction of the largest output; of a classifier's of at
                least 1.

        Returns:
            (batch,), fraction of the predictions for each example.
        """

    @abstractmethod
    def agreement(self, teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
        """Compute how far both networks predict the same, ().

        Args:
            teacher: (examples, outputs).
            student: likewise.
            weights: (examples,), at least 0, sum 1.
        """

    @abstractmethod
    def score(self, outputs: Tensor, labels: Tensor) -> Tensor | None:
        """Compute the fraction of predictions for each example that are right, (batch,); None: none ever is."""

    @abstractmethod
    def compare(self, teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
        """Compute what a round logs of both networks' outputs on its batches.

        Args:
            teacher: (steps, batch, outputs).
            student: likewise.

        Returns:
            By name in `LoggedRow`: (steps,), or (steps, outputs).
        """


@dataclass(frozen=True)
class SingleLabel(AbstractTask):
    """One of several classes is right: beliefs are the softmax of logits."""

    name: ClassVar[TaskName] = "single_label"
    divergences: ClassVar[Mapping[DivergenceName, Divergence]] = DIVERGENCES
    knows_classes: ClassVar[bool] = True

    def is_alike(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Whether both find the same class most likely."""
        return agreement(teacher, student)

    def groups(self, outputs: Tensor) -> Tensor:
        """Return the most likely class."""
        return outputs.argmax(dim=1)

    def count_groups(self, num_outputs: int) -> int:
        """Return the number of classes."""
        return num_outputs

    def match(self, expected: Tensor, found: Tensor, rounding: float) -> Tensor:
        """Whether the class of the other is the most likely one, or as likely but for rounding."""
        likelihood = expected.gather(1, found.argmax(dim=1, keepdim=True)).squeeze(1)
        return (likelihood >= expected.amax(dim=1) - rounding * max(1.0, float(expected.abs().max()))).float()

    def agreement(self, teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
        """Compute the fraction of examples on which both find the same class most likely."""
        return weights @ self.match(teacher, student, rounding=0.0)

    def score(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Whether the most likely class is the label."""
        return correct(outputs, labels).float()

    def compare(self, teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
        """Compute confidences, agreement and frequencies of classes."""
        flat, shape = (teacher.flatten(0, 1), student.flatten(0, 1)), student.shape[:2]
        student_classes = class_frequencies(student)
        return {
            "teacher_confidence": confidence(flat[0]).view(shape).mean(dim=1),
            "student_confidence": confidence(flat[1]).view(shape).mean(dim=1),
            "batch_agreement": agreement(*flat).to(student.dtype).view(shape).mean(dim=1),
            "teacher_classes": class_frequencies(teacher),
            "student_classes": student_classes,
            "student_largest_class": student_classes.max(dim=1).values,
        }


@dataclass(frozen=True)
class MultiLabel(AbstractTask):
    """Each label is true or not by itself: beliefs are the sigmoids of logits."""

    name: ClassVar[TaskName] = "multi_label"
    divergences: ClassVar[Mapping[DivergenceName, Divergence]] = {
        "kl": binary_kl_divergence,
        "js": binary_js_divergence,
        "l1": l1_distance,
    }

    def is_alike(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Whether both predict the same labels, all of them."""
        return label_agreement(teacher, student).all(dim=1)

    def groups(self, outputs: Tensor) -> Tensor:
        """Return the most probable label, whether or not it is predicted."""
        return outputs.argmax(dim=1)

    def count_groups(self, num_outputs: int) -> int:
        """Return the number of labels."""
        return num_outputs

    def match(self, expected: Tensor, found: Tensor, rounding: float) -> Tensor:
        """Compute the fraction of labels that both predict alike, or that are as likely as not but for rounding."""
        undecided = expected.abs() <= rounding * max(1.0, float(expected.abs().max()))
        return (label_agreement(expected, found) | undecided).float().mean(dim=1)

    def agreement(self, teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
        """Compute the fraction of labels that both predict alike."""
        return weights @ self.match(teacher, student, rounding=0.0)

    def score(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Compute the fraction of labels that are predicted right."""
        return (predicted_labels(outputs) == labels.bool()).float().mean(dim=1)

    def compare(self, teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
        """Compute confidences, agreement over labels, and how often each label is predicted."""
        return {
            "teacher_confidence": label_confidence(teacher).mean(dim=1),
            "student_confidence": label_confidence(student).mean(dim=1),
            "batch_agreement": label_agreement(teacher, student).to(student.dtype).mean(dim=(1, 2)),
            "teacher_label_frequencies": label_frequencies(teacher),
            "student_label_frequencies": label_frequencies(student),
            "teacher_fixed_labels": _fixed_labels(teacher),
            "student_fixed_labels": _fixed_labels(student),
        }


@dataclass(frozen=True)
class Regression(AbstractTask):
    """Outputs are numbers; in a run they are in units of the teacher's own standard deviation."""

    name: ClassVar[TaskName] = "regression"
    divergences: ClassVar[Mapping[DivergenceName, Divergence]] = {"kl": gaussian_divergence, "l1": l1_distance}

    def is_alike(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Return False for all: numbers have a distance, and are never the same."""
        return torch.zeros_like(teacher[:, 0], dtype=torch.bool)

    def groups(self, outputs: Tensor) -> Tensor:
        """Return one group for all: nothing is balanced."""
        return torch.zeros_like(outputs[:, 0], dtype=torch.int64)

    def count_groups(self, num_outputs: int) -> int:
        """Return 1."""
        return 1

    def match(self, expected: Tensor, found: Tensor, rounding: float) -> Tensor:
        """Compute the fraction of numbers that are equal but for rounding, each by the largest of its kind."""
        largest = expected.abs().amax(dim=0)
        return ((found - expected).abs() <= ROUNDED * rounding * largest).float().mean(dim=1)

    def agreement(self, teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
        """Compute R^2 of the student's numbers for the teacher's, over all outputs together."""
        variance = (weights @ (teacher - weights @ teacher).square()).mean()
        error = (weights @ (teacher - student).square()).mean()
        return 1 - error / variance.clamp_min(torch.finfo(variance.dtype).tiny)

    def score(self, outputs: Tensor, labels: Tensor) -> Tensor | None:
        """Return None: numbers have an error, and are never right."""
        return None

    def compare(self, teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
        """Compute R^2 of the student's numbers for the teacher's, and the spread of both."""
        return {
            "batch_r2": explained_variance(teacher, student),
            "teacher_spread": spread(teacher),
            "student_spread": spread(student),
        }


def _fixed_labels(logits: Tensor) -> Tensor:
    """Compute the fraction of labels that are predicted for all of a batch or for none, (steps,)."""
    predicted = predicted_labels(logits)
    fixed = predicted.all(dim=1) | ~predicted.any(dim=1)
    return fixed.to(logits.dtype).mean(dim=1)


SINGLE_LABEL = SingleLabel()
TASKS: dict[TaskName, AbstractTask] = {
    "single_label": SINGLE_LABEL,
    "multi_label": MultiLabel(),
    "regression": Regression(),
}
"""By name."""
