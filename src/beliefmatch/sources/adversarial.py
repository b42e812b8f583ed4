"""Adversarial belief matching: Micaelli & Storkey 2019, "Zero-shot Knowledge Transfer via Adversarial Belief Matching".

A generator seeks inputs on which student and teacher disagree most. Options since then: a fresh pseudo batch for
every student step (Ferles et al. 2020), L1 on centred logits (Fang et al. 2019) and pseudo batches held to the
statistics that the teacher's batch-norm layers remember (Yin et al. 2020).
"""

from dataclasses import dataclass
from typing import ClassVar

from beliefmatch.checks import check_any_weight, check_positive
from beliefmatch.functional.divergences import DivergenceName
from beliefmatch.sources.generating import AbstractGenerating
from beliefmatch.sources.inversion_loss import Terms


@dataclass(frozen=True, kw_only=True)
class Adversarial(AbstractGenerating):
    """A generator trained against the student. The student is in train mode in the generator's step too, so its
    batch-norm statistics move there. Defaults: the paper's released code, but for the scale of the divergence.
    """

    citation: ClassVar[str] = (
        "Micaelli & Storkey 2019, Zero-shot Knowledge Transfer via Adversarial Belief Matching, NeurIPS"
    )

    student_steps: int = 10
    """Student steps a round."""
    fresh_noise: bool = False
    """Draw new noise, and so a new pseudo batch, for every student step; otherwise one z serves the whole round."""
    divergence: DivergenceName = "kl"
    """What the generator maximises: KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits)."""
    divergence_weight: float = 1.0
    """Factor of the divergence, averaged over examples."""
    temperature: float = 1.0
    """Both logits are divided by it."""
    batch_norm_weight: float = 0.0
    """Factor of the gap between pseudo batch and the teacher's batch-norm statistics, which the generator minimises."""
    gradient_clip: float = 5.0
    """Largest L2 norm of the generator's gradient."""

    def check(self) -> None:
        """Check steps, sizes, temperature and learning rate.

        Raises:
            SettingsError: one is not above 0, or both weights are 0.
        """
        self.check_steps()
        check_positive(self, "source", "temperature")
        check_any_weight(self, "source", "divergence_weight", "batch_norm_weight")

    def minimised(self) -> Terms:
        """Give the divergence, and the statistics, by their weights."""
        return Terms(
            adversarial=self.divergence_weight,
            divergence=self.divergence,
            temperature=self.temperature,
            student_mode="train",
            statistics=self.batch_norm_weight,
        )
