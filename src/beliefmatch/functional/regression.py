"""Numbers to predict: divergences of two networks' numbers, and how much of one follows from the other.

In a loss the numbers are in units of the teacher's own standard deviation; see `training.standardisation`.
"""

import torch
from torch import Tensor


def gaussian_divergence(teacher_outputs: Tensor, student_outputs: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute half the squared difference, summed over outputs (batch, outputs), (batch,).

    It is KL of two normal distributions of variance 1 around the numbers, in nats, so that weights and temperatures
    mean what they mean for the beliefs of a classifier.
    """
    return ((teacher_outputs - student_outputs) / temperature).square().sum(dim=1) / 2


def spread(outputs: Tensor) -> Tensor:
    """Compute the root mean square over outputs of their standard deviations over a batch.

    Args:
        outputs: (*batches, batch, outputs).

    Returns:
        (*batches,), at least 0.
    """
    return outputs.var(dim=-2, correction=0).mean(dim=-1).sqrt()


def explained_variance(expected: Tensor, predicted: Tensor) -> Tensor:
    """Compute R^2, the part of the variance of what is expected that predictions explain, over all outputs together.

    Args:
        expected: (*batches, batch, outputs).
        predicted: likewise.

    Returns:
        (*batches,), at most 1; 0 for the mean of what is expected, and below for worse. 0 too where all that is
        expected is equal.
    """
    variance = expected.var(dim=-2, correction=0).mean(dim=-1)
    error = (expected - predicted).square().mean(dim=(-2, -1))
    # Not a plain ratio: a batch of equal numbers must not give a value that is not finite.
    tiny = torch.finfo(expected.dtype).tiny
    return torch.where(variance > tiny, 1 - error / variance.clamp_min(tiny), 0.0)
