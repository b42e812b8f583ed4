"""The expected calibration error: how far confidence and accuracy differ."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

NUM_BINS = 15


def calibration_error_gaps(confidence: Tensor, correct: Tensor, num_bins: int = NUM_BINS) -> Tensor:
    """Compute each example's gap between confidence and correctness, in the column of its confidence's bin.

    The expected calibration error (Guo et al. 2017, equation 3) is the sum over bins of the absolute mean of a column:
    `calibration_error`.

    Args:
        confidence: (batch,), probability of the most likely class.
        correct: (batch,), bool.
        num_bins: bins of equal width over [0, 1]; each holds its upper edge.

    Returns:
        (batch, bins): the gap in the bin of the example, 0 in all others.
    """
    edges = torch.linspace(0, 1, num_bins + 1, dtype=confidence.dtype, device=confidence.device)
    # The first edge is no boundary: a confidence of exactly 0 belongs to the first bin.
    bins = torch.bucketize(confidence, edges[1:-1])
    gaps = confidence - correct.to(confidence.dtype)
    return one_hot(bins, num_bins).to(confidence.dtype) * gaps[:, None]


def calibration_error(mean_gaps: Tensor) -> Tensor:
    """Compute the error, (...,) in [0, 1], of means over examples of `calibration_error_gaps`, (..., bins)."""
    return mean_gaps.abs().sum(dim=-1)
