"""Where the levels of a layer begin: the steps that move its weights, and its inputs on pseudo inputs, least."""

import torch
from torch import Tensor

from beliefmatch.functional.fake_quantization import round_to_levels

MOST_VALUES = 2**16
"""Values of an input of a layer that a step is chosen by."""
FRACTIONS = tuple(part / 20 for part in range(4, 21))
"""Of the whole range, that the levels may span; what lies beyond is clipped."""
LEAST_STEP = 1e-8
"""Of what is 0 throughout."""


def sample_values(values: Tensor) -> Tensor:
    """Return some of the values, evenly spaced, with the least and the largest; one axis, float32."""
    flat = values.detach().float().flatten()
    every = max(1, len(flat) // MOST_VALUES)
    return torch.cat([flat[::every], flat.amin().view(1), flat.amax().view(1)])


def lowest_of_inputs(values: Tensor, bits: int) -> int:
    """Return how many of 2**bits levels lie below 0, as a negative number: as large a part as the values have there."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return -round((2**bits - 1) * -low / (high - low)) if high > low else 0


def choose_log_steps(rows: Tensor, lowest: int, highest: int) -> Tensor:
    """Choose for each row the step with the least squared error of rounding.

    Args:
        rows: (rows, values).
        lowest: number of levels below 0, as a negative number.
        highest: number of levels above 0.

    Returns:
        (rows,), natural logarithms.
    """
    least = rows.amin(1).clamp_max(0) / min(lowest, -1)
    widest = torch.maximum(least, rows.amax(1).clamp_min(0) / max(highest, 1)).clamp_min(LEAST_STEP)
    best, chosen = torch.full_like(widest, torch.inf), widest
    for fraction in FRACTIONS:
        step = fraction * widest
        error = (round_to_levels(rows, step[:, None], lowest, highest) - rows).square().mean(1)
        chosen, best = torch.where(error < best, step, chosen), torch.minimum(error, best)
    return chosen.log()
