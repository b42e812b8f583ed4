"""DeepInversion: Yin et al. 2020, "Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion".

There is no generator: inputs are parameters themselves. They are optimised until the teacher takes them for the classes
drawn for them, while its batch-norm layers see the statistics they remember; where student and teacher still agree,
adaptive competition drives them apart.
"""

from dataclasses import dataclass

from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import make_adam
from beliefmatch.sources.base import Needs, Plan
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pooled import (
    AbstractPooled,
    PooledState,
    batch_losses,
    bound_pixels,
    check_pooled,
    draw_labels,
    draw_noise,
    start_pooled,
)


@dataclass(frozen=True, kw_only=True)
class DeepInversion(AbstractPooled[PooledState]):
    """Inputs optimised directly. Weights of variation and L2 norm: the paper's for CIFAR-10. All other defaults: the
    DataFree benchmark of Fang et al. 2021.

    Competition is the Jensen-Shannon divergence, which inputs raise; the paper's 1 - JS differs by a constant. The
    variation is a mean over inputs of sums of norms, and leaves out the diagonals (both ours).
    """

    making_steps: int = 1000
    """Steps that each batch takes; the paper takes 2000."""
    learning_rate: float = 0.1
    """Adam's learning rate for the inputs."""
    terms: InversionLossWeights = InversionLossWeights(
        adversarial=1.0, divergence="js", statistics=10.0, one_hot=1.0, total_variation=2.5e-5, l2=3e-8
    )
    """What each batch minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need that have a weight."""
        return self.terms.needs()

    def check(self) -> None:
        """Check what all pools check, and the learning rate."""
        check_pooled(self)
        check_positive(self, "source", "learning_rate")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> PooledState:
        """Build an empty pool."""
        return start_pooled(self, teacher, plan, fabric)

    def make(
        self, state: PooledState, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Optimise a batch from normal noise."""
        labels = draw_labels(state, teacher.num_classes, fabric)
        free = nn.Parameter(draw_noise(state, *teacher.spec.shape, fabric=fabric))
        return optimise_inputs(
            lambda: bound_pixels(state, free),
            batch_losses(state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric),
            make_adam([free], self.learning_rate, first_beta=0.5),
            fabric,
            steps=self.making_steps,
            micro_batch=state.micro_batch,
        )
