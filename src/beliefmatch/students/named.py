"""A student whose architecture is named."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from beliefmatch.models.teacher import Teacher, check_same_classes, probe
from beliefmatch.models.weights import fit_weights, read_weights
from beliefmatch.models.zoo import locate, make_network
from beliefmatch.students.base import AbstractStudent


@dataclass(frozen=True, kw_only=True)
class NamedStudent(AbstractStudent):
    """A network made by name, with fresh weights or with given ones to start from."""

    architecture: str
    """Built-in name such as wide_resnet_16_1, or file.py:function for your own."""
    weights: Path | None = None
    """Safetensors file or state dict to start from. None: fresh weights."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        object.__setattr__(self, "weights", self.weights and self.weights.absolute())

    def build(self, teacher: Teacher) -> nn.Module:
        """Make the network with as many channels and classes as the teacher has.

        Raises:
            NetworkError: it cannot be made, does not take the teacher's inputs, or has other classes.
            WeightsError: the weights cannot be read or do not fit.
        """
        student = make_network(self.architecture, in_channels=teacher.spec.shape[0], num_classes=teacher.num_classes)
        if self.weights is not None:
            fit_weights(student, read_weights(self.weights), name=str(self.weights))
        student.float()
        check_same_classes(teacher.num_classes, probe(student, teacher.spec, role="student"))
        return student
