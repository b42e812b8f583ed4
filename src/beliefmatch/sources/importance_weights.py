"""How often each input of a pool is drawn: the teacher's classes evenly, and what looks like its training data more.

A batch-norm layer remembers mean and variance of each channel over the training data. Weights of maximum entropy under
which the pool has these statistics say which inputs look like that data to the teacher; see
`functional.maximum_entropy`. They are ours. Classes are balanced as in Frank & Davis 2025.
"""

import math
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.functional.maximum_entropy import light_tails, maximum_entropy_weights
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import FIXED

RAREST = 0.05
"""A class counts for at least this part of what it would have if all were even: few inputs must not fill batches."""
MOST_MOMENTS = 1024
"""Of one input; where the teacher has more, so many random sums of them."""
FIRST_SOLVED, LONGEST_WAIT = 4, 64
"""Rounds after which weights are computed for the first time, and then after twice as many each time; and rounds that
lie between two times at most. A pool of 20,000 is another one after 78 rounds."""


@dataclass(kw_only=True)
class ImportanceWeights:
    """What decides how often each input of a pool is drawn. All of it lies on the device, in place."""

    classes: Tensor
    """(capacity,), int64: the class that the teacher finds most likely, or whatever group its task balances."""
    moments: Tensor | None
    """(capacity, moments), with light tails: distance from the remembered statistics. None: nothing is remembered, or
    weights of maximum entropy are not wanted."""
    multipliers: Tensor
    """(moments,), of the weights of maximum entropy; 0 until they are computed."""
    largest: Tensor
    """(), largest logarithm of weight over balance in the pool that they were computed for. An input that
    came since has no larger one: the exponential of a moment that no input had then would outweigh all others."""
    projection: Tensor | None = field(metadata=FIXED)
    """(moments of the teacher, moments), where there are too many."""
    num_classes: int = field(metadata=FIXED)

    def note(self, rows: Tensor, inputs: Tensor, teacher: Teacher, fabric: Fabric) -> None:
        """Note the teacher's class and the moments of inputs that were stored in these rows."""
        with torch.no_grad(), fabric.autocast():
            read = teacher.outputs(inputs, tap_batch_norms=self.moments is not None)
        self.classes[rows] = teacher.task.groups(read.logits)
        if self.moments is not None:
            light = light_tails(teacher.batch_norm_moments(read))
            self.moments[rows] = light if self.projection is None else light @ self.projection

    def probabilities(self, held: Tensor, weighted_fraction: float) -> Tensor:
        """Compute the probability of each row of the pool, (capacity,); 0 where nothing is stored.

        Args:
            held: (), inputs in the pool.
            weighted_fraction: part of the draws by maximum entropy; the rest balances classes alone.
        """
        even = self._even(held)
        if self.moments is None:
            return even
        ratios = (self.moments @ self.multipliers).minimum(self.largest)
        weights = torch.softmax(even.log() + ratios, dim=0)
        return torch.lerp(even, weights, weighted_fraction)

    def solve(self, held: int, min_effective_fraction: float) -> None:
        """Compute the multipliers for what the pool holds now.

        Args:
            held: inputs in the pool.
            min_effective_fraction: effective sample size at least, as part of what balanced classes leave.
        """
        if self.moments is None:
            return
        base = self._even(torch.tensor(held, device=self.classes.device))[:held]
        found = maximum_entropy_weights(self.moments[:held], min_effective_fraction * held, base)
        self.multipliers.copy_(found.multipliers)
        self.largest.copy_((self.moments[:held] @ self.multipliers).max())

    def _even(self, held: Tensor) -> Tensor:
        """Compute probabilities that balance the classes, (capacity,), sum 1."""
        dtype = self.multipliers.dtype
        there = (torch.arange(len(self.classes), device=self.classes.device) < held).to(dtype)
        counts = torch.zeros(self.num_classes, device=there.device, dtype=dtype).index_add(0, self.classes, there)
        even = there / counts.clamp_min(RAREST / self.num_classes * held)[self.classes]
        return even / even.sum()


def is_due(rounds: int) -> bool:
    """Whether weights are computed after so many rounds: what changes little is computed seldom."""
    return rounds >= FIRST_SOLVED and (
        rounds % LONGEST_WAIT == 0 or (rounds < LONGEST_WAIT and rounds.bit_count() == 1)
    )


def draw_rows(probabilities: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Draw rows by their probabilities, with replacement, (count,), int64; nothing waits for the device."""
    bounds = probabilities.cumsum(dim=0)
    drawn = torch.rand(count, generator=random, device=bounds.device, dtype=bounds.dtype) * bounds[-1]
    last = torch.searchsorted(bounds, bounds[-1:])
    return torch.minimum(torch.searchsorted(bounds, drawn, right=True), last)


def make_importance_weights(
    capacity: int, teacher: Teacher, device: torch.device, *, weighted: bool, seed: int
) -> ImportanceWeights:
    """Build the weights of an empty pool.

    Args:
        capacity: of the pool.
        teacher: whose classes and batch-norm layers count.
        device: of the pool.
        weighted: whether moments are kept, where the teacher has batch-norm layers.
        seed: of random sums of moments.
    """
    number = 2 * sum(layer.num_features for layer in teacher.batch_norms.values()) if weighted else 0
    kept, projection = min(number, MOST_MOMENTS), None
    if number > MOST_MOMENTS:
        random = torch.Generator().manual_seed(seed)
        projection = (torch.randn(number, MOST_MOMENTS, generator=random) / math.sqrt(MOST_MOMENTS)).to(device)
    return ImportanceWeights(
        classes=torch.zeros(capacity, dtype=torch.int64, device=device),
        moments=torch.zeros(capacity, kept, device=device) if kept else None,
        multipliers=torch.zeros(kept, device=device),
        largest=torch.zeros((), device=device),
        projection=projection,
        num_classes=teacher.task.count_groups(teacher.num_classes),
    )
