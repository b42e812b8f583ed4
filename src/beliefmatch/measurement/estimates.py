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
