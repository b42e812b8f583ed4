"""Noise that every process draws alike."""

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.sources.base import take_local_shard


@dataclass(kw_only=True)
class NoiseStream:
    """Draws standard normal noise. All processes draw the whole batch and each keeps its shard, so that any number of
    processes sees the same noise.
    """

    random: torch.Generator
    local_batch_size: int
    """Examples a batch in this process."""
    size: int
    dtype: torch.dtype

    def draw(self, fabric: Fabric) -> Tensor:
        """Draw (local batch size, size), on the device."""
        shape = (self.local_batch_size * fabric.world_size, self.size)
        whole = torch.randn(shape, generator=self.random, device=self.random.device, dtype=self.dtype)
        return take_local_shard(whole, self.local_batch_size, fabric)
