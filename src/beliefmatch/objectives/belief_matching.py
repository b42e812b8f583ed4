"""Belief matching: Micaelli & Storkey 2019. A divergence, plus attention transfer (Zagoruyko & Komodakis 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from beliefmatch.checks import check_positive
from beliefmatch.functional.divergences import DIVERGENCES, DivergenceName, divergence_factor
from beliefmatch.networks.taps import Outputs
from beliefmatch.objectives.base import AbstractObjective


@dataclass(frozen=True, kw_only=True)
class BeliefMatching(AbstractObjective):
    """The divergence from the teacher's beliefs, and the distance of attention maps at tapped activations."""

    citation: ClassVar[str] = (
        "Micaelli & Storkey 2019, Zero-shot Knowledge Transfer via Adversarial Belief Matching, NeurIPS"
    )

    divergence: DivergenceName = "kl"
    """KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits)."""
    divergence_weight: float = 1.0
    """Factor of the divergence of each example."""
    divide_by_classes: bool = False
    """Divide that factor by the number of classes, as released code that averages the KL over classes does."""
    temperature: float = 1.0
    """Both logits are divided by it."""
    attention_weight: float = 0.0
    """Factor of the attention distance of each tap pair."""

    @property
    def uses_taps(self) -> bool:
        """Whether attention has a weight."""
        return self.attention_weight != 0

    def check(self) -> None:
        """Check the temperature.

        Raises:
            SettingsError: it is not above 0.
        """
        check_positive(self, "objective", "temperature")

    def __call__(self, teacher: Outputs, student: Outputs, labels: Tensor | None) -> dict[str, Tensor]:
        """Compute `divergence`, and `attention` where there are taps and the weight is not 0, each (batch,)."""
        divergence = DIVERGENCES[self.divergence](teacher.logits, student.logits, self.temperature)
        classes = teacher.logits.shape[1]
        factor = divergence_factor(self.divergence_weight, classes, divide_by_classes=self.divide_by_classes)
        terms = {"divergence": factor * divergence}
        if self.attention_weight and self.taps:
            terms["attention"] = self.attention_weight * self.attention(teacher, student)
        return terms
