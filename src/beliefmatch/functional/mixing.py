"""Mixup: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization" (ICLR), for inputs alone.

The teacher answers for the mixtures themselves (Beyer et al. 2022, "Knowledge distillation: A good teacher is patient
and consistent"), so that no labels are mixed.
"""

import torch
from torch import Tensor

from beliefmatch.functional.augmentation import Shard


def mixup(
    first: Tensor, second: Tensor, fraction: float, random: torch.Generator, shard: Shard | None = None
) -> Tensor:
    """Return the first inputs, of which a random part is mixed with the second, each by a weight uniform in [0, 1].

    Args:
        first: (batch, *shape).
        second: (batch, *shape).
        fraction: of the inputs that are mixed, on average.
        random: draws, on the inputs' device.
        shard: of these inputs among all that are drawn for. None: they are all.

    Returns:
        (batch, *shape).
    """
    start, total = shard or Shard(0, len(first))
    drawn = torch.rand((2, total, *(1,) * (first.dim() - 1)), generator=random, device=first.device, dtype=first.dtype)
    chosen, weight = drawn.narrow(1, start, len(first))
    return torch.where(chosen < fraction, torch.lerp(first, second, weight), first)
