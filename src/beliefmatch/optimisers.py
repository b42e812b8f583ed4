"""An optimiser with its schedule and gradient clip, for student and generator alike."""

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler


@dataclass(kw_only=True)
class Optimisation:
    """What moves the parameters of one network, and moves with them."""

    optimiser: torch.optim.Optimizer
    schedule: LRScheduler
    gradient_clip: float
    """Largest L2 norm of all gradients together."""

    def step(self, fabric: Fabric) -> Tensor:
        """Average the gradients over processes, clip them, move the parameters and drop the gradients.

        Returns:
            (), the norm of the gradients before clipping.
        """
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        average_over_processes([p.grad for p in parameters if p.grad is not None], fabric)
        norm = clip_grad_norm_(parameters, self.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    def end_round(self) -> None:
        """Move the learning rate along its schedule, which counts rounds."""
        self.schedule.step()


def adam(network: nn.Module, *, learning_rate: float, gradient_clip: float, num_rounds: int) -> Optimisation:
    """Adam (betas .9 and .999, no decay) with a cosine schedule from the learning rate to 0 over all rounds."""
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = CosineAnnealingLR(optimiser, num_rounds)
    return Optimisation(optimiser=optimiser, schedule=schedule, gradient_clip=gradient_clip)


def average_over_processes(tensors: list[Tensor], fabric: Fabric) -> None:
    """Replace each tensor in place by its mean over all processes, in one message."""
    if tensors and fabric.world_size > 1:
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        averaged = fabric.all_reduce(joined, reduce_op="mean")
        assert isinstance(averaged, Tensor)
        for tensor, mean in zip(tensors, averaged.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))
