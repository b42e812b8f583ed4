"""The bootstrap and Wilson's interval against scipy's, and against what is known exactly."""

import pytest
import scipy.stats
import torch

from beliefmatch.functional.confidence_intervals import (
    bias_corrected_interval,
    bootstrap,
    resampled_means,
    wilson_interval,
)


def test_an_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)).double()
    value, low, high = bootstrap(values, lambda means: means, num_resamples=4000)
    torch.testing.assert_close(value, values.mean(dim=0))
    expected = 2 * 1.96 * values.std(dim=0) / 4000**0.5
    torch.testing.assert_close(high - low, expected, rtol=0.05, atol=0)


def test_it_agrees_with_scipy_on_a_skewed_statistic() -> None:
    values = torch.randn(300, generator=torch.Generator().manual_seed(1)).double().exp()
    _, low, high = bootstrap(values[:, None], lambda means: means.square(), num_resamples=5000)
    found = scipy.stats.bootstrap(
        (values.numpy(),), lambda x, axis: x.mean(axis) ** 2, n_resamples=5000, method="percentile", rng=0
    ).confidence_interval
    # Scipy's interval lacks the correction of bias, which is small for this statistic.
    assert float(low) == pytest.approx(found.low, rel=0.03)
    assert float(high) == pytest.approx(found.high, rel=0.03)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    random = torch.Generator().manual_seed(2)
    held = 0
    for _ in range(200):
        right = (torch.rand(150, 1, generator=random) < 0.8).double()
        _, low, high = bootstrap(right, lambda means: means, num_resamples=400)
        held += bool(low <= 0.8 <= high)
    assert 180 <= held <= 198


def test_without_any_spread_the_interval_is_the_value() -> None:
    value, low, high = bootstrap(torch.ones(50, 1), lambda means: means)
    assert value == low == high == 1


def test_statistics_that_rounding_alone_tells_apart_are_tied() -> None:
    """Three values that are equal in exact arithmetic: half of them count as below, whichever way they are rounded."""
    exact = torch.tensor([0.1, 0.2, 0.3, 0.3, 0.3, 0.4, 0.5], dtype=torch.float64)[:, None]
    value = exact[2]
    expected = bias_corrected_interval(value, exact)
    for off in (1e-8, -1e-8):
        rounded = exact.clone()
        rounded[2:5] += off
        for found, end in zip(bias_corrected_interval(value, rounded), expected, strict=True):
            torch.testing.assert_close(found, end, rtol=0, atol=1e-7)
    apart = exact.clone()
    apart[2:5] += 1e-3
    assert not torch.allclose(torch.stack(bias_corrected_interval(value, apart)), torch.stack(expected), atol=1e-3)


def test_the_same_seed_draws_the_same_examples_for_all_columns() -> None:
    column = torch.rand(40, 1)
    means = resampled_means(torch.cat([column, column], dim=1), num_resamples=30)
    assert torch.equal(means[:, 0], means[:, 1])
    assert torch.equal(means, resampled_means(torch.cat([column, column], dim=1), num_resamples=30))


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (0, 54), (54, 54), (1, 54), (27, 54), (9_990, 10_000)])
def test_the_interval_of_a_fraction_is_wilsons(right: int, count: int) -> None:
    low, high = wilson_interval(torch.tensor([right / count], dtype=torch.float64), count)
    found = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx((found.low, found.high), abs=1e-9)
    assert 0 <= float(low) < float(high) <= 1


def test_54_of_54_right_is_93_to_100_percent() -> None:
    low, high = wilson_interval(torch.ones(1).double(), 54)
    assert (round(float(low), 3), float(high)) == (0.934, 1.0)
