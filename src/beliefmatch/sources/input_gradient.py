"""Gradients to inputs, without those of any parameter."""

from collections.abc import Callable

import torch
from torch import Tensor

from beliefmatch.functional.micro_batches import parts_of


def input_gradient(
    losses: Callable[[Tensor], dict[str, Tensor]], inputs: Tensor, micro_batch: int | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the losses of a batch, and the gradient of their sum to its inputs alone, a micro-batch at a time.

    Nothing else gets a gradient: neither network's parameters, nor whatever the inputs came from.

    Args:
        losses: returns named losses, each () and a mean over its inputs; others are averaged over micro-batches.
        inputs: (batch, *shape).
        micro_batch: inputs at a time; None for all.

    Returns:
        The gradient, shaped like the inputs, and the losses over the batch, each () and detached.
    """
    gradients: list[Tensor] = []
    rows: list[dict[str, Tensor]] = []
    for part in parts_of(inputs.detach(), micro_batch):
        leaf = part.detach().requires_grad_()
        found = losses(leaf)
        fraction = len(leaf) / len(inputs)
        row = found if fraction == 1 else {name: fraction * loss for name, loss in found.items()}
        gradients.append(torch.autograd.grad(torch.stack(list(row.values())).sum(), leaf)[0])
        rows.append({name: loss.detach() for name, loss in row.items()})
    if len(rows) == 1:
        return gradients[0], rows[0]
    return torch.cat(gradients), {name: torch.stack([row[name] for row in rows]).sum() for name in rows[0]}
