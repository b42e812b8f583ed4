"""Belief matching: Micaelli & Storkey 2019. A divergence, plus attention transfer (Zagoruyko & Komodakis 2017)."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.functional.divergences import DivergenceName, divergence_factor
from beliefmatch.networks.taps import Outputs
from beliefmatch.objectives.base import AbstractObjective


@dataclass(frozen=True, kw_only=True)
class BeliefMatching(AbstractObjective):
    """The divergence from the teacher's beliefs, and distances of attention maps and features at tapped activations."""

    divergence: DivergenceName = "kl"
    """KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits). For multi-label teachers those of
    each label, summed; for a regression KL is half the squared difference, in units of the teacher's deviation."""
    divergence_weight: float = 1.0
    """Factor of the divergence of each example."""
    divide_by_classes: bool = False
    """Divide that factor by the number of classes, as released code that averages the KL over classes does."""
    temperature: float = 1.0
    """Both logits are divided by it."""
    attention_weight: float = 0.0
    """Factor of the attention distance of each tap pair."""
    feature_weight: float = 0.0
    """Factor of the feature distance of each tap pair, in the first round. It falls to 0 in the last, by the square of
    a cosine schedule. Where no pairs are named, it is 0 for teachers without batch-norm and students of another
    family."""

    @property
    def uses_taps(self) -> bool:
        """Whether attention or features have a weight."""
        return self.attention_weight != 0 or self.feature_weight != 0

    @property
    def uses_labels(self) -> bool:
        """Return False: beliefs alone count."""
        return False

    def without_features(self) -> Self:
        """Return the same without features."""
        return replace(self, feature_weight=0.0)

    def check(self) -> None:
        """Check the temperature and the weight of features.

        Raises:
            SettingsError: the one is not above 0, or the other below.
        """
        check_positive(self, "objective", "temperature")
        check_not_negative(self, "objective", "feature_weight")

    def __call__(
        self, teacher: Outputs, student: Outputs, labels: Tensor | None, progress: Tensor | float = 0.0
    ) -> dict[str, Tensor]:
        """Compute `divergence`, `attention` and `features`, each (batch,), the last two where weights and taps are."""
        divergence = teacher.task.divergence(self.divergence)(teacher.logits, student.logits, self.temperature)
        classes = teacher.logits.shape[1]
        factor = divergence_factor(self.divergence_weight, classes, divide_by_classes=self.divide_by_classes)
        terms = {"divergence": factor * divergence}
        if self.attention_weight and self.taps:
            terms["attention"] = self.attention_weight * self.attention(teacher, student)
        if self.feature_weight and self.taps:
            terms["features"] = self.feature_weight * fade(progress) * self.features(teacher, student)
        return terms


def fade(progress: Tensor | float) -> Tensor:
    """Compute a factor that falls from 1 to 0 with the rounds, (): the square of a cosine schedule.

    Features lead a student fast to where its teacher is. Nearer to its end it does better if beliefs alone count, since
    it is smaller and cannot have them all.
    """
    return ((1 + torch.cos(math.pi * torch.as_tensor(progress))) / 2).square()
