"""Batches that pass a network in parts."""

import math

from torch import Tensor


def parts_of(batch: Tensor, most: int | None) -> tuple[Tensor, ...]:
    """Split a batch into as few parts as can be and as even as can be, in order, so that no small one is left over.

    Args:
        batch: (batch, ...).
        most: examples a part has at most; None for all of them.

    Returns:
        Views, each (part, ...).
    """
    return batch.tensor_split(_num_parts(len(batch), most))


def smallest_part(num_examples: int, most: int | None) -> int:
    """Return the number of examples in the smallest of those parts."""
    return num_examples // _num_parts(num_examples, most)


def _num_parts(num_examples: int, most: int | None) -> int:
    return max(1, math.ceil(num_examples / (most or max(1, num_examples))))
