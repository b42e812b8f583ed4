"""The expected calibration error: how far confidence and accuracy differ."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from beliefmatch.functional.confidence_intervals import wilson_interval

NUM_BINS = 15
NUM_SIMULATIONS = 1000
MAX_FACTOR, NUM_FACTORS = 4.0, 81
"""The largest multiple of the observed gaps that an interval may reach, and how many are simulated."""


def bin_of(confidence: Tensor, num_bins: int = NUM_BINS) -> Tensor:
    """Return the number of the bin of each confidence, (batch,)."""
    edges = torch.linspace(0, 1, num_bins + 1, dtype=confidence.dtype, device=confidence.device)
    # The first edge is no boundary: a confidence of exactly 0 belongs to the first bin.
    return torch.bucketize(confidence, edges[1:-1])


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
    gaps = confidence - correct.to(confidence.dtype)
    return one_hot(bin_of(confidence, num_bins), num_bins).to(confidence.dtype) * gaps[:, None]


def calibration_error(mean_gaps: Tensor) -> Tensor:
    """Compute the error, (...,) in [0, 1], of means over examples of `calibration_error_gaps`, (..., bins)."""
    return mean_gaps.abs().sum(dim=-1)


def debiased_calibration_error(
    confidence: Tensor,
    correct: Tensor,
    *,
    num_bins: int = NUM_BINS,
    level: float = 0.95,
    num_simulations: int = NUM_SIMULATIONS,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Estimate the expected calibration error without the bias of the usual estimate, and its interval.

    The usual estimate adds absolute values of noise: of a network that is perfectly calibrated it is about .07 for 500
    examples. Here accuracies are simulated that differ from the mean confidence of each bin by t times the gap that was
    observed. The estimate is t times the usual one where half of the simulated errors are below the usual one, and the
    interval holds all t whose simulated errors it does not stand out from; 0 where that is t = 0, calibrated. An error
    as small as that of half of all calibrated networks speaks against no t, so that the first t are left by larger
    ones alone: a simple form of the unified intervals of Feldman & Cousins 1998. It covers the true error of 50 to
    5,000 examples in 92.8 to 97.5 of 100 cases; `benchmarks/interval_coverage.py` counts them.

    Args:
        confidence: (examples,), probability of the most likely class.
        correct: (examples,), bool.
        num_bins: bins of equal width.
        level: of the interval.
        num_simulations: for each t.
        seed: of the simulations.

    Returns:
        The estimate and the ends of its interval, in [0, 1].
    """
    bins = one_hot(bin_of(confidence, num_bins), num_bins).double()
    counts = bins.sum(dim=0)
    counts, bins = counts[counts > 0], bins[:, counts > 0]
    confidences, accuracies = (each.double() @ bins / counts for each in (confidence, correct))
    weights, gaps = counts / counts.sum(), accuracies - confidences
    usual = float((weights * gaps.abs()).sum())
    random = torch.Generator().manual_seed(seed)
    factors = torch.linspace(0, MAX_FACTOR, NUM_FACTORS, dtype=torch.float64)
    rates = (confidences + factors[:, None, None] * gaps).clamp(0, 1).expand(-1, num_simulations, -1)
    hits = torch.binomial(counts.expand_as(rates).contiguous(), rates.contiguous(), generator=random)
    errors = ((hits / counts - confidences).abs() * weights).sum(dim=-1)
    truths = ((rates[:, 0] - confidences).abs() * weights).sum(dim=-1)
    tail = (1 - level) / 2
    levels = torch.tensor([0.5, tail, 1 - tail, level], dtype=torch.float64)
    # The larger t, the larger all quantiles, but for chance.
    middle, least, most, most_alone = errors.quantile(levels, dim=1).cummax(dim=1).values
    most = torch.where(least <= middle[0], most_alone, most).cummax(dim=0).values
    value, low = _truth_at(usual, middle, truths), _truth_at(usual, most, truths)
    high = _truth_at(max(usual, float(middle[0])), least, truths)
    # Where nearly all are right, the error of few examples hardly shows.
    return value, min(low, value), max(high, value, _gap_over_all(confidence, correct, level)[1])


def extend_error_interval(
    value: float, low: float, high: float, confidence: Tensor, correct: Tensor, *, level: float = 0.95
) -> tuple[float, float]:
    """Extend the bootstrap's interval of the usual estimate where resampling cannot show how far the error may be.

    An error is at least the gap over all bins, so it may be as large as that gap may be by Wilson's interval of the
    accuracy. Resampling says less than this where all examples are right, or all wrong, since it never finds one of the
    other kind; and where the gap is nearly 0 by chance, since nearly all resampled errors are above such an estimate,
    and the correction of its bias would leave the lowest of them alone.

    Args:
        value: the estimate, which the interval holds.
        low: lower end.
        high: upper end.
        confidence: (examples,), probability of the most likely class.
        correct: (examples,), bool.
        level: of the interval.
    """
    least, most = _gap_over_all(confidence, correct, level)
    if 0 < int(correct.sum()) < len(correct):
        least = value
    return min(low, least), max(high, value, most)


def _gap_over_all(confidence: Tensor, correct: Tensor, level: float) -> tuple[float, float]:
    """Return the interval of the gap between mean confidence and accuracy, which the calibration error is at least."""
    ends = torch.stack(wilson_interval(correct.double().mean(), len(correct), level)) - confidence.double().mean()
    least, most = ends.abs().sort().values.tolist()
    return 0.0 if float(ends[0]) <= 0 <= float(ends[1]) else least, most


def _truth_at(observed: float, quantile: Tensor, truths: Tensor) -> float:
    """Return the true error at which a quantile of simulated errors is the observed one, interpolated, at least 0."""
    above = int(torch.searchsorted(quantile, observed))
    if above == 0 or above == len(truths):
        return float(truths[min(above, len(truths) - 1)])
    first, second = quantile[above - 1], quantile[above]
    return float(truths[above - 1].lerp(truths[above], (observed - first) / (second - first).clamp_min(1e-12)))
