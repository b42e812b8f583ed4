"""The interface of an objective."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from beliefmatch.functional.attention import attention_distance
from beliefmatch.functional.features import feature_distance
from beliefmatch.networks.taps import Outputs, TapPair


@dataclass(frozen=True, kw_only=True)
class AbstractObjective(ABC):
    """What the student minimises. It holds settings only; nothing in it moves."""

    taps: tuple[TapPair, ...] | None = None
    """Activations to read. None: those that both architectures declare, or else the last of each resolution that both
    reach, found when a run starts."""

    @property
    @abstractmethod
    def uses_taps(self) -> bool:
        """Whether activations enter the loss at all."""

    @property
    @abstractmethod
    def uses_labels(self) -> bool:
        """Whether classes that a source knows, or asks for, enter the loss."""

    @abstractmethod
    def without_features(self) -> Self:
        """Return the same objective without the distance of features."""

    @abstractmethod
    def check(self) -> None:
        """Check that every setting is in its range; a transfer calls this when it is made.

        Raises:
            SettingsError: one is not.
        """

    @abstractmethod
    def __call__(
        self, teacher: Outputs, student: Outputs, labels: Tensor | None, progress: Tensor | float = 0.0
    ) -> dict[str, Tensor]:
        """Compute the named terms of the loss, weighted, each (batch,). The loss is the mean of their sum.

        Args:
            teacher: its outputs for a batch.
            student: likewise.
            labels: (batch,), where the source knows them.
            progress: (), fraction of the rounds that are completed, on the device.
        """

    def attention(self, teacher: Outputs, student: Outputs) -> Tensor:
        """Compute the sum of attention distances over all tap pairs, of which there is at least one, (batch,)."""
        distances = [
            attention_distance(teacher.attention_map(pair.teacher), student.attention_map(pair.student))
            for pair in self.taps or ()
        ]
        return sum(distances[1:], start=distances[0])

    def features(self, teacher: Outputs, student: Outputs) -> Tensor:
        """Compute the sum of feature distances over all tap pairs, of which there is at least one, (batch,)."""
        distances = [
            feature_distance(teacher.activations[pair.teacher], student.activations[pair.student])
            for pair in self.taps or ()
        ]
        return sum(distances[1:], start=distances[0])
