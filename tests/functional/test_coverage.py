"""Intervals hold the true value as often as they say: of accuracies exactly, of calibration errors by simulation."""

import pytest
import torch

from beliefmatch.functional.calibration_error import (
    calibration_error,
    calibration_error_gaps,
    debiased_calibration_error,
)
from beliefmatch.functional.confidence_intervals import wilson_interval
from interval_coverage import RATES, SIZES, accuracy_coverage, calibration_coverage, draw_networks


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_intervals_of_accuracies_cover_95_percent(size: int, rate: float) -> None:
    assert 0.93 <= accuracy_coverage(size, rate) <= 0.97


def test_twenty_of_twenty_reach_down_to_84_percent() -> None:
    low, high = wilson_interval(torch.ones(()), 20)
    assert (float(low), float(high)) == (pytest.approx(0.8389, abs=1e-4), 1)


@pytest.mark.parametrize(
    ("size", "rate", "shift"), [(100, 0.9, 0.0), (500, 0.9, 0.0), (50, 0.98, 0.05), (500, 0.5, 0.05), (500, 0.9, 0.15)]
)
def test_intervals_of_calibration_errors_cover_them(size: int, rate: float, shift: float) -> None:
    coverage, bias = calibration_coverage(size, rate, shift, repeats=100)
    assert coverage >= 0.9
    assert abs(bias) <= 0.03


def test_the_usual_estimate_is_biased_and_this_one_is_not() -> None:
    drawn = list(draw_networks(100, 0.9, 0.0, 100))
    usual = [float(calibration_error(calibration_error_gaps(*each).mean(dim=0))) for each in drawn]
    debiased = [debiased_calibration_error(*each, num_simulations=100)[0] for each in drawn]
    assert sum(usual) / 100 > 0.045
    assert sum(debiased) / 100 < 0.025
    assert sum(each == 0 for each in debiased) >= 40


def test_one_example_and_one_bin_have_an_interval() -> None:
    value, low, high = debiased_calibration_error(torch.tensor([0.9]), torch.tensor([True]))
    assert 0 <= low <= value <= high <= 1
    value, low, high = debiased_calibration_error(torch.ones(20), torch.ones(20, dtype=torch.bool))
    assert (value, low) == (0, 0)
    assert high == pytest.approx(0.161, abs=1e-3)
