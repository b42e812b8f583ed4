"""What every student promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from beliefmatch.networks.teacher import Teacher


@dataclass(frozen=True, kw_only=True)
class AbstractStudent(ABC):
    """A way to come by the student network."""

    @abstractmethod
    def build(self, teacher: Teacher) -> nn.Module:
        """Make a network that takes the teacher's inputs and knows its classes, on the CPU."""
