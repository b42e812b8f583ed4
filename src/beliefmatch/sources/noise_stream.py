"""Noise that every process draws alike."""

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.sources.base import mine


@dataclass(kw_only=True)
class NoiseStream:
    """Draws standard normal noise. All processes draw the whole batch and each keeps its share, so that any number of
    processes sees the same noise.
    """

    random: torch.Generator
    share: int
    """Examples a batch in this process."""
    size: int
    dtype: torch.dtype

    def draw(self, fabric: Fabric) -> Tensor:
        """Draw (share, size), on the device."""
        shape = (self.share * fabric.world_size, self.size)
        whole = torch.randn(shape, generator=self.random, device=self.random.device, dtype=self.dtype)
        return mine(whole, self.share, fabric)
