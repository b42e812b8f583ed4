"""What numbers of a file may be: fractions in [0, 1], counts and times of 0 and above."""

from collections.abc import Iterator
from typing import Any

ROUNDING = 1e-6
"""A mean of fractions in 32 bits may lie so far outside of [0, 1]."""


def check_ranges(record: Any, *, fractions: tuple[str, ...] = (), counts: tuple[str, ...] = ()) -> None:
    """Check fields of a record: numbers, tuples of them, or estimates with their intervals; None fits.

    Args:
        record: a dataclass of this folder.
        fractions: fields of numbers in [0, 1].
        counts: fields of numbers of 0 and above.

    Raises:
        ValueError: a number is out of its range.
    """
    for name in fractions:
        for number in _numbers(getattr(record, name)):
            if not -ROUNDING <= number <= 1 + ROUNDING:
                raise ValueError(f"{name} is {number}, expected a fraction in [0, 1]")
    for name in counts:
        for number in _numbers(getattr(record, name)):
            if number < 0:
                raise ValueError(f"{name} is {number}, expected 0 or above")


def _numbers(found: Any) -> Iterator[float]:
    if isinstance(found, float | int):
        yield found
    elif isinstance(found, tuple | list):
        yield from found
    elif found is not None:
        yield from (found.value, found.low, found.high)
