"""Input optimisation: steps that make one batch better, as in every source that fills a pool."""

from collections.abc import Callable, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.optimisers import average_over_processes
from beliefmatch.sources.input_gradient import input_gradient


def optimise_inputs(
    make: Callable[[], Tensor],
    losses: Callable[[Tensor], dict[str, Tensor]],
    optimiser: torch.optim.Optimizer,
    fabric: Fabric,
    *,
    steps: int,
    shared: Sequence[nn.Parameter] = (),
    micro_batch: int | None = None,
    after_gradient: Callable[[], None] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Optimise a batch, and keep it as it was in the step where the sum of its losses was lowest.

    Args:
        make: gives the batch as its parameters have it now, (batch, *shape).
        losses: gives named losses of a batch, each () and a mean over it; see `input_gradient`.
        optimiser: moves whatever the batch is made of.
        fabric: precision and processes.
        steps: at least one.
        shared: parameters that are alike in all processes, whose gradients are averaged. All others belong to this
            process's shard of the batch.
        micro_batch: inputs that pass the networks at once.
        after_gradient: called in each step once parameters have their gradients, before they move.

    Returns:
        The best batch, detached, and the losses of each step with their sum as `loss`, (steps,).
    """
    rows: list[dict[str, Tensor]] = []
    best, lowest = None, None
    for _ in range(steps):
        with fabric.autocast():
            made = make()
        gradient, found = input_gradient(losses, made, micro_batch)
        loss = torch.stack(list(found.values())).sum()
        made.backward(gradient)
        # Processes keep the same step, so that what they keep together is one batch.
        together = loss.detach().clone()
        gradients = [parameter.grad for parameter in shared if parameter.grad is not None]
        average_over_processes([together, *gradients], fabric)
        _average_over_whole(optimiser, shared, fabric)
        if best is None or lowest is None:
            best, lowest = made.detach().clone(), together
        else:
            best = torch.where(together < lowest, made.detach(), best)
            lowest = torch.minimum(together, lowest)
        if after_gradient is not None:
            after_gradient()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        rows.append({"loss": loss, **found})
    assert best is not None
    return best, {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _average_over_whole(optimiser: torch.optim.Optimizer, shared: Sequence[nn.Parameter], fabric: Fabric) -> None:
    """Scale gradients of a process's own parameters: the loss is a mean over all processes, not over its shard."""
    if fabric.world_size > 1:
        alike = set(shared)
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        for parameter in parameters:
            if parameter not in alike and parameter.grad is not None:
                parameter.grad.div_(fabric.world_size)
