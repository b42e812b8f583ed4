"""Drawing one value for each example of a batch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Random values, one for each example, shaped to broadcast with (count, channels, *positions)."""

    count: int
    num_axes: int
    """Of positions."""
    random: torch.Generator
    dtype: torch.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (count, 1, ..., 1)."""
        return (self.count, 1, *(1,) * self.num_axes)

    def uniform(self, low: float, high: float) -> Tensor:
        """Draw from a uniform distribution between two bounds."""
        drawn = torch.rand(self.shape, generator=self.random, device=self.random.device, dtype=self.dtype)
        return low + (high - low) * drawn

    def log_uniform(self, low: float, high: float) -> Tensor:
        """Draw from a log-uniform distribution between two bounds."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def normal(self) -> Tensor:
        """Draw from a normal distribution of mean 0 and variance 1."""
        return torch.randn(self.shape, generator=self.random, device=self.random.device, dtype=self.dtype)
