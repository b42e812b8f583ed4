"""Free points: the toy of Micaelli & Storkey 2019, "Zero-shot Knowledge Transfer via Adversarial Belief Matching".

The pseudo inputs are parameters themselves. Without any generator they move to where student and teacher disagree,
and since they persist from round to round, they travel.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_finite, check_positive
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.networks.taps import outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import average_over_processes, make_adam
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Needs, Plan, take_local_shard
from beliefmatch.sources.input_gradient import input_gradient


class BoundedPoints(nn.Module):
    """Parameters that a sigmoid keeps within a bound around 0."""

    def __init__(self, free: Tensor, bound: float) -> None:
        super().__init__()
        self.free = nn.Parameter(free)
        self.bound = bound

    def forward(self) -> Tensor:
        """Compute the points, (batch, *shape), in [-bound, bound]."""
        return 2 * self.bound * self.free.sigmoid() - self.bound


@dataclass(kw_only=True)
class FreePointsState:
    """All that moves."""

    points: BoundedPoints
    """The whole batch, equal in all processes, so that one of them can write the checkpoint."""
    optimiser: torch.optim.Adam
    local_batch_size: int
    """Examples a batch in this process."""
    micro_batch: int | None = field(metadata=FIXED)
    """Examples that pass teacher and student at once."""


@dataclass(frozen=True, kw_only=True)
class FreePoints(AbstractSource[FreePointsState]):
    """Points that move up the KL of teacher and student. The student is in train mode in their steps, so its batch-norm
    statistics move there. Defaults: the paper's released notebook, but for the scale of the KL.
    """

    point_steps: int = 50
    """Steps of the points a round."""
    student_steps: int = 10
    """Student steps a round, all on the same points."""
    bound: float = 3.0
    """Largest absolute value of an input."""
    start_mean: float = 3.0
    """Where the points begin: a normal distribution of this mean and standard deviation 1, before the sigmoid."""
    learning_rate: float = 1e-3
    """Adam's learning rate for the points before the sigmoid, the same in all rounds."""
    gradient_clamp: float = 3.0
    """Largest absolute value of an entry of their gradient."""

    @property
    def needs(self) -> Needs:
        """Gradients of both networks, and classes, always."""
        return Needs(teacher_gradient=True, student_gradient=True, classes=True)

    def check(self) -> None:
        """Check steps, bound, learning rate and clamp."""
        check_positive(self, "source", "point_steps", "student_steps", "bound", "learning_rate", "gradient_clamp")
        check_finite(self, "source", "start_mean")

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the settings: a round is short already."""
        return self

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> FreePointsState:
        """Draw the points of all processes."""
        random = torch.Generator(device=fabric.device).manual_seed(plan.seed)
        shape = (plan.batch_size, *teacher.spec.shape)
        noise = torch.randn(shape, generator=random, device=fabric.device, dtype=teacher.dtype)
        points = BoundedPoints(self.start_mean + noise, self.bound)
        optimiser = make_adam(points.parameters(), self.learning_rate)
        return FreePointsState(
            points=points,
            optimiser=optimiser,
            local_batch_size=plan.local_batch_size(fabric),
            micro_batch=plan.micro_batch,
        )

    def improve(
        self, state: FreePointsState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Optimise the points for the steps of one round."""
        rows = [self._step(state, teacher, student, fabric) for _ in range(self.point_steps)]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def batches(self, state: FreePointsState, fabric: Fabric) -> Iterator[Batch]:
        """Yield the points where they are now, for every student step of the round."""
        batch = Batch(inputs=take_local_shard(state.points().detach(), state.local_batch_size, fabric))
        for _ in range(self.student_steps):
            yield batch

    def end_round(self, state: FreePointsState) -> None:
        """Change nothing: no schedule moves."""

    def metadata(self, state: FreePointsState) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: FreePointsState, fabric: Fabric) -> Tensor:
        """Return the points of all processes."""
        return state.points().detach()

    def _step(self, state: FreePointsState, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        def losses(inputs: Tensor) -> dict[str, Tensor]:
            with fabric.autocast():
                divergence = kl_divergence(teacher.outputs(inputs).logits, outputs_of(student, inputs).logits)
            return {"points_loss": -divergence.mean()}

        inputs = take_local_shard(state.points(), state.local_batch_size, fabric)
        to_inputs, found = input_gradient(losses, inputs, state.micro_batch)
        (gradient,) = torch.autograd.grad(inputs, state.points.free, to_inputs)
        average_over_processes([gradient], fabric)
        norm = gradient.norm()
        state.points.free.grad = gradient.clamp_(-self.gradient_clamp, self.gradient_clamp)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        return {**found, "points_gradient_norm": norm}
