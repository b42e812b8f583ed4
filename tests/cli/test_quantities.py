"""Counts in the tables of the terminal."""

import pytest

from beliefmatch.cli.tables import short


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999 "),
        (1000, "1 k"),
        (41792, "41.8 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (999_999, "1 M"),
        (999_950_000, "1 G"),
        (1_500_000_000_000, "1,500 G"),
    ],
)
def test_a_count_has_three_digits_and_never_an_exponent(count: int, text: str) -> None:
    assert short(count) == text
