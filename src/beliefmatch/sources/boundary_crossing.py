"""Crossing: a few steps of an input towards another class of the teacher, across the borders between its classes.

Where a network changes its mind tells most about it: Heo et al. 2019, "Knowledge Distillation with Adversarial Samples
Supporting Decision Boundary" (AAAI). Steps have one length, whatever the gradient's, so that confident inputs move too.
"""

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn.functional import cross_entropy

from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.input_gradient import input_gradient
from beliefmatch.sources.pool import PixelRange


def cross_borders(
    inputs: Tensor,
    labels: Tensor,
    teacher: Teacher,
    fabric: Fabric,
    *,
    steps: int,
    step_size: float,
    pixels: PixelRange | None,
    micro_batch: int | None,
) -> Tensor:
    """Move inputs down the teacher's cross-entropy with classes, by steps of one length each.

    Args:
        inputs: (batch, *shape).
        labels: (batch,), a class for each to move towards.
        teacher: gives the gradient; it stays.
        fabric: precision.
        steps: of each input.
        step_size: root mean square over an input's values of one step, in units of network inputs.
        pixels: range that inputs are kept in; None for none.
        micro_batch: inputs that pass the teacher at once.

    Returns:
        (batch, *shape), detached.
    """
    moved = inputs.detach()
    for _ in range(steps):
        position = 0

        def loss(part: Tensor) -> dict[str, Tensor]:
            nonlocal position
            wanted = labels[position : position + len(part)]
            position += len(part)
            with fabric.autocast():
                return {"one_hot": cross_entropy(teacher.outputs(part).logits, wanted)}

        gradient, _ = input_gradient(loss, moved, micro_batch)
        size = gradient.flatten(1).square().mean(dim=1).sqrt().clamp_min(torch.finfo(gradient.dtype).tiny)
        moved = moved - step_size * gradient / size.view(-1, *(1,) * (inputs.dim() - 1))
        if pixels is not None:
            moved = torch.maximum(torch.minimum(moved, pixels.white), pixels.black)
    return moved
