"""Numbers as a reader meets them."""

import pytest

from beliefmatch.number_texts import three_digits
from beliefmatch.report.quantities import Kind, show, show_bounds, show_duration, show_mean
from beliefmatch.runs.schema.measurement import Estimate


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("fraction", 0.96666, "96.67 %"),
        ("fraction", 1.0, "100.00 %"),
        ("number", 0.71186, "0.7119"),
        ("exact", 94186, "94,186"),
        ("count", 609536, "610 k"),
        ("count", 41792, "41.8 k"),
        ("count", 7, "7"),
        ("count", 0, "0"),
        ("bytes", 25568, "25.6 kB"),
        ("bytes", 498393088, "498 MB"),
        ("seconds", 0.000155731, "156 µs"),
        ("seconds", 0.0123, "12.3 ms"),
        ("seconds", 0.0, "0.00 µs"),
        ("cost", 72.53, "72.5 s"),
        ("cost", 46440.4, "46,440 s"),
    ],
)
def test_each_kind_has_its_unit(kind: Kind, value: float, text: str) -> None:
    assert show(kind, value) == text


def test_mean_and_sample_deviation() -> None:
    assert show_mean("fraction", [0.96, 0.97, 0.99]) == "97.33 ± 1.53 %"
    assert show_mean("cost", [70.0, 74.0]) == "72.0 ± 2.8 s"
    assert show_mean("fraction", [0.9]) == "90.00 %"


def test_intervals() -> None:
    assert show_bounds("fraction", Estimate(value=0.9667, low=0.948, high=0.981)) == "(94.8 to 98.1)"
    assert show_bounds("number", Estimate(value=0.7, low=0.6, high=0.8)) == "(0.6000 to 0.8000)"


def test_long_times_are_told_in_hours() -> None:
    assert [show_duration(seconds) for seconds in (50, 600, 46440)] == ["", "(10 min)", "(12 h 54 min)"]


def test_numbers_in_running_text() -> None:
    assert [three_digits(value) for value in (0.0123456, 15.01, 999.7, 80000)] == ["0.0123", "15", "1,000", "80,000"]
