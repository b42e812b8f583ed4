"""Knowledge distillation: Hinton et al. 2015, with attention transfer: Zagoruyko & Komodakis 2017."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor
from torch.nn.functional import cross_entropy

from beliefmatch.checks import check_any_weight, check_positive
from beliefmatch.errors import SettingsError
from beliefmatch.functional.divergences import divergence_factor
from beliefmatch.networks.taps import Outputs
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.setting_names import Setting


@dataclass(frozen=True, kw_only=True)
class Distillation(AbstractObjective):
    """A weighted sum of cross-entropy with labels, divergence from the teacher's beliefs, and attention distance."""

    label_weight: float = 1.0
    """Factor of the cross-entropy with the label, in nats."""
    divergence_weight: float = 0.0
    """Factor of KL(teacher || student) of each example, in nats. There is no factor of the squared temperature."""
    divide_by_classes: bool = False
    """Divide that factor by the number of classes, as released code that averages the KL over classes does."""
    temperature: float = 4.0
    """Both logits are divided by it in the divergence."""
    attention_weight: float = 0.0
    """Factor of the attention distance of each tap pair."""

    @property
    def uses_taps(self) -> bool:
        """Whether attention has a weight."""
        return self.attention_weight != 0

    @property
    def uses_labels(self) -> bool:
        """Whether labels have a weight."""
        return self.label_weight != 0

    def without_features(self) -> Self:
        """Return the same: it matches none."""
        return self

    def check(self) -> None:
        """Check temperature and weights.

        Raises:
            SettingsError: one is out of its range, or all weights are 0.
        """
        check_positive(self, "objective", "temperature")
        check_any_weight(self, "objective", "label_weight", "divergence_weight", "attention_weight")

    def __call__(
        self, teacher: Outputs, student: Outputs, labels: Tensor | None, progress: Tensor | float = 0.0
    ) -> dict[str, Tensor]:
        """Compute `labels`, `divergence` and `attention`, those whose weight is not 0, each (batch,).

        Raises:
            SettingsError: labels have a weight, and the source knows none.
        """
        terms = {}
        if self.label_weight:
            if labels is None:
                raise SettingsError(f"{Setting('objective.label_weight')} is not 0, but the source knows no labels")
            terms["labels"] = self.label_weight * cross_entropy(student.logits, labels, reduction="none")
        if self.divergence_weight:
            divergence = teacher.task.divergence("kl")(teacher.logits, student.logits, self.temperature)
            classes = teacher.logits.shape[1]
            factor = divergence_factor(self.divergence_weight, classes, divide_by_classes=self.divide_by_classes)
            terms["divergence"] = factor * divergence
        if self.attention_weight and self.taps:
            terms["attention"] = self.attention_weight * self.attention(teacher, student)
        return terms
