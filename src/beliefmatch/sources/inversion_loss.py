"""What inputs are made to minimise: the terms that the literature weighs differently, each under one name."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from beliefmatch.checks import check_any_weight, check_not_negative, check_positive
from beliefmatch.errors import NetworkError
from beliefmatch.functional.divergences import DivergenceName
from beliefmatch.functional.inversion_losses import (
    activation_size,
    class_imbalance,
    input_size,
    one_hot_loss,
    total_variation,
)
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.taps import Outputs, outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting
from beliefmatch.sources.base import Needs

Where = Literal["everywhere", "agreed"]
Mode = Literal["eval", "train"]


@dataclass(frozen=True, kw_only=True)
class InversionLossWeights:
    """Weights of the terms; what has weight 0 is not computed. Terms of an example are averaged over the batch."""

    adversarial: float = 0.0
    """Weight of the divergence of teacher and student, which inputs raise; with js DeepInversion's competition."""
    divergence: DivergenceName = "kl"
    """KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits)."""
    temperature: float = 1.0
    """Both logits are divided by it in the divergence."""
    adversarial_where: Where = "everywhere"
    """agreed: the divergence counts only where both networks find the same class most likely."""
    student_mode: Mode = "eval"
    """Mode of the student in the divergence. In train mode its batch-norm statistics move there too."""
    statistics: float = 0.0
    """Weight of the gap between the batch and what the teacher's batch-norm layers remember; 0 if it has none."""
    one_hot: float = 0.0
    """Weight of the teacher's cross-entropy with the class asked for, or else with the one it finds most likely."""
    balance: float = 0.0
    """Weight of the negative entropy of the teacher's mean belief, in nats."""
    activation: float = 0.0
    """Weight of the mean absolute feature of the teacher, which inputs raise."""
    total_variation: float = 0.0
    """Weight of the differences of neighbouring positions; vectors have none."""
    l2: float = 0.0
    """Weight of the L2 norm of the inputs."""

    def needs(self) -> Needs:
        """Return what the terms that have a weight need of the two networks."""
        return Needs(
            batch_norms=self.statistics != 0,
            features=self.activation != 0,
            teacher_gradient=any(getattr(self, name) for name in OF_TEACHER),
            student_gradient=self.adversarial != 0,
            classes=self.one_hot != 0 or self.balance != 0,
        )

    def check(self) -> None:
        """Check temperature and weights.

        Raises:
            SettingsError: one is out of its range, or all weights are 0.
        """
        check_positive(self, "source.terms", "temperature")
        check_not_negative(self, "source.terms", *WEIGHTS)
        check_any_weight(self, "source.terms", *WEIGHTS)

    def check_fit(self, teacher: Teacher) -> None:
        """Check that the teacher has what is to be read from it.

        Raises:
            NetworkError: features have a weight, and no last linear layer gives the logits.
        """
        if self.activation and teacher.feature_tap is None:
            raise NetworkError(
                "the teacher's logits are not the output of a linear layer or convolution, so its features are not "
                f"known: {Setting('source.terms.activation')} must be 0"
            )

    def read(self, inputs: Tensor, teacher: Teacher, *, features: bool = False) -> Outputs:
        """Run the teacher and read all that the terms need, and the features if they are asked for."""
        return teacher.outputs(
            inputs, tap_batch_norms=self.statistics != 0, tap_features=features or self.activation != 0
        )

    def losses(
        self, inputs: Tensor, read: Outputs, teacher: Teacher, student: nn.Module, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted terms of a batch, those whose weight is not 0, each ().

        Args:
            inputs: (batch, *shape).
            read: from `read`, of the same inputs.
            teacher: that was read.
            student: runs only where the divergence has a weight.
            labels: (batch,), classes asked for; or None.
        """
        terms: dict[str, Tensor] = {}
        if self.adversarial:
            terms["divergence"] = -self.adversarial * self._divergence(inputs, read, teacher, student).mean()
        if self.statistics:
            terms["statistics"] = self.statistics * teacher.statistics_gap(read)
        if self.one_hot:
            terms["one_hot"] = self.one_hot * one_hot_loss(read.logits, labels).mean()
        if self.balance:
            terms["balance"] = self.balance * class_imbalance(read.logits)
        if self.activation:
            terms["activation"] = -self.activation * activation_size(read.inputs[teacher.feature_tap or ""]).mean()
        if self.total_variation:
            terms["total_variation"] = self.total_variation * total_variation(inputs).mean()
        if self.l2:
            terms["l2"] = self.l2 * input_size(inputs).mean()
        return terms

    def _divergence(self, inputs: Tensor, read: Outputs, teacher: Teacher, student: nn.Module) -> Tensor:
        if self.student_mode == "train":
            logits = outputs_of(student, inputs).logits
        else:
            with evaluating(student):
                logits = outputs_of(student, inputs).logits
        divergence = teacher.task.divergence(self.divergence)(read.logits, logits, self.temperature)
        if self.adversarial_where == "agreed":
            divergence = divergence * teacher.task.is_alike(read.logits, logits)
        return divergence


WEIGHTS = ("adversarial", "statistics", "one_hot", "balance", "activation", "total_variation", "l2")
OF_TEACHER = ("adversarial", "one_hot", "balance", "activation")
"""Those that judge the teacher's outputs."""
