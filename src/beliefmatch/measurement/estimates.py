"""Numbers with their intervals, as measurements hold them."""

import torch
from torch import Tensor

from beliefmatch.functional.confidence_intervals import wilson_interval
from beliefmatch.runs.schema.measurement import Estimate


def fractions_of(columns: Tensor) -> list[Estimate]:
    """Return of each column (examples, columns) of zeros and ones the fraction of ones, with Wilson's interval."""
    fractions = columns.mean(dim=0)
    return estimates_of(fractions, *wilson_interval(fractions, len(columns)))


def estimates_of(values: Tensor, lows: Tensor, highs: Tensor) -> list[Estimate]:
    """Return numbers and the ends of their intervals, (n,) each."""
    rows = torch.stack([values, lows, highs], dim=1).tolist()
    return [Estimate(value=value, low=low, high=high) for value, low, high in rows]


def fraction_of_parts(parts: Tensor) -> Estimate:
    """Return the fraction of ones, with Wilson's interval of as many independent ones as have its variance.

    Parts of one example, such as its labels, depend on each other: they count for as much as their means vary over
    examples (the effective sample size of Kish 1965), and together for no less than one of each example.

    Args:
        parts: (examples, parts) of zeros and ones.
    """
    fraction, means = parts.mean(), parts.mean(dim=1)
    variance = means.var(correction=0) / len(means)
    independent = fraction * (1 - fraction) / variance if float(variance) > 0 else torch.tensor(float(len(means)))
    number = min(max(float(independent), len(means)), parts.numel())
    low, high = wilson_interval(fraction, number)
    return Estimate(value=float(fraction), low=float(low), high=float(high))


def with_width(estimate: Estimate, num_examples: int) -> Estimate:
    """Return an estimate of a number in [0, 1] whose interval has a width: where resampling finds none, Wilson's."""
    if estimate.low < estimate.high:
        return estimate
    low, high = wilson_interval(torch.tensor(estimate.value, dtype=torch.float64), num_examples)
    return Estimate(value=estimate.value, low=float(low), high=float(high))
