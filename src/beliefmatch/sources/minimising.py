"""What sources share that make their inputs minimise terms: what they read follows from the weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from beliefmatch.sources.inversion_loss import Terms


class AbstractMinimising(ABC):
    """Says what it minimises, and so what it needs of teacher and student."""

    @abstractmethod
    def minimised(self) -> Terms:
        """Give what inputs are made to minimise."""

    @property
    def reads_batch_norms(self) -> bool:
        """Whether the statistics have a weight."""
        return self.minimised().statistics != 0

    @property
    def reads_features(self) -> bool:
        """Whether the features have a weight."""
        return self.minimised().activation != 0

    @property
    def follows_teacher(self) -> bool:
        """Whether a term that judges the teacher's answers has a weight."""
        return self.minimised().follow_teacher

    @property
    def follows_student(self) -> bool:
        """Whether the divergence has a weight."""
        return self.minimised().follow_student


@dataclass(frozen=True, kw_only=True)
class Minimising(AbstractMinimising):
    """Minimises terms that are a setting."""

    terms: Terms
    """What inputs are made to minimise."""

    def minimised(self) -> Terms:
        """Give the terms."""
        return self.terms
