import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from beliefmatch.functional.maximum_entropy import FAR, effective_sample_size, light_tails, maximum_entropy_weights


def pool(count: int, num_moments: int, seed: int = 0) -> Tensor:
    """Draw moments of size about 1 whose means are not 0."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, num_moments, generator=random, dtype=torch.float64)
    return 0.6 * drawn + 0.3 * torch.randn(num_moments, generator=random, dtype=torch.float64)


def descended(moments: Tensor, penalty: float) -> Tensor:
    """Solve the same problem for its weights slowly: plain descent along the gradient of torch."""
    multipliers = torch.zeros(moments.shape[1], dtype=torch.float64, requires_grad=True)
    for _ in range(3000):
        dual = (moments @ multipliers).exp().mean().log() + 0.5 * penalty * multipliers.square().sum()
        (gradient,) = torch.autograd.grad(dual, multipliers)
        multipliers = (multipliers - 0.2 * gradient).detach().requires_grad_()
    weights = (moments @ multipliers).exp().detach()
    return weights / weights.sum()


def test_even_weights_are_all_effective_and_a_single_one_is_one() -> None:
    assert_close(effective_sample_size(torch.full((7,), 0.1)), torch.tensor(7.0))
    assert_close(effective_sample_size(torch.tensor([0.0, 5.0, 0.0])), torch.tensor(1.0))
    assert_close(effective_sample_size(torch.tensor([1.0, 3.0])), torch.tensor(16 / 10))
    assert_close(effective_sample_size(torch.tensor([1e-30, 3e-30])), torch.tensor(16 / 10))


@pytest.mark.parametrize("floor", [20.0, 60.0, 150.0])
def test_weights_are_those_of_a_slow_solver(floor: float) -> None:
    moments = pool(200, 5)
    found = maximum_entropy_weights(moments, floor)
    assert_close(found.weights, descended(moments, found.penalty), atol=1e-7, rtol=1e-4)


def test_weights_are_optimal() -> None:
    moments = pool(300, 40).clamp(-FAR, FAR)
    found = maximum_entropy_weights(moments, 100)
    light = light_tails(moments)
    tamed = light / light.square().mean(dim=0).sqrt().clamp_min(1)
    # The gradient is 0: each weighted mean is -penalty times its multiplier, and the multipliers give the weights.
    logits = tamed @ (-(found.weights @ tamed) / found.penalty)
    assert_close(torch.softmax(logits, dim=0), found.weights, atol=1e-8, rtol=1e-4)


def test_a_biased_coin_is_weighed_fair() -> None:
    moments = torch.tensor([1.0] * 90 + [-1.0] * 10, dtype=torch.float64)[:, None]
    found = maximum_entropy_weights(moments, 1)
    assert_close(found.weights[:90], torch.full((90,), 0.5 / 90, dtype=torch.float64), atol=0, rtol=1e-3)
    assert_close(found.weights[90:], torch.full((10,), 0.5 / 10, dtype=torch.float64), atol=0, rtol=1e-3)
    assert found.effective_sample_size == pytest.approx(36, rel=1e-3)
    assert found.gap_before == pytest.approx(0.8)
    assert found.gap_after < 1e-3


def test_a_coin_at_a_floor_is_as_fair_as_the_floor_lets_it() -> None:
    moments = torch.tensor([1.0] * 90 + [-1.0] * 10, dtype=torch.float64)[:, None]
    found = maximum_entropy_weights(moments, 50)
    heads = float(found.weights[:90].sum())
    assert 1 / (heads**2 / 90 + (1 - heads) ** 2 / 10) == pytest.approx(found.effective_sample_size)
    assert 50 <= found.effective_sample_size < 51


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("floor", [5.0, 50.0, 500.0, 1900.0, 1999.5])
def test_the_floor_is_kept_and_nearly_reached(floor: float, dtype: torch.dtype) -> None:
    found = maximum_entropy_weights(pool(2000, 30).to(dtype), floor)
    assert found.weights.dtype == dtype
    assert found.weights.min() >= 0
    assert_close(found.weights.sum(), torch.ones((), dtype=dtype))
    assert found.effective_sample_size >= floor
    assert found.effective_sample_size <= max(1.15 * floor, 1000)
    assert found.effective_sample_size == pytest.approx(float(effective_sample_size(found.weights)))


def test_a_higher_floor_needs_a_higher_penalty_and_leaves_a_larger_gap() -> None:
    moments = pool(2000, 50)
    found = [maximum_entropy_weights(moments, floor) for floor in (100, 300, 900, 1800)]
    for first, second in itertools.pairwise(found):
        assert first.penalty < second.penalty
        assert first.gap_after < second.gap_after
        assert first.effective_sample_size < second.effective_sample_size
    assert found[-1].gap_after < found[-1].gap_before
    assert found[0].gap_after < 0.5 * found[0].gap_before


def test_weights_are_even_where_the_means_are_0_already() -> None:
    moments = pool(100, 8)
    found = maximum_entropy_weights(moments - moments.mean(dim=0), 10)
    assert_close(found.weights, torch.full((100,), 0.01, dtype=torch.float64), atol=1e-8, rtol=0)
    assert found.effective_sample_size == pytest.approx(100)


@pytest.mark.parametrize("floor", [100.0, 1000.0])
def test_weights_are_even_where_all_examples_must_count(floor: float) -> None:
    found = maximum_entropy_weights(pool(100, 8), floor)
    assert_close(found.weights, torch.full((100,), 0.01, dtype=torch.float64))
    assert math.isinf(found.penalty)
    assert found.gap_after == pytest.approx(found.gap_before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_heavy_tails_break_nothing(dtype: torch.dtype) -> None:
    moments = pool(1000, 40)
    moments[::3] *= 1e4
    moments[1::3, :5] = 1e4
    found = maximum_entropy_weights(moments.to(dtype), 100)
    assert found.weights.isfinite().all()
    assert found.effective_sample_size >= 100
    assert found.weights[::3].sum() < 0.1
    assert found.weights[1::3].sum() < 0.1
    assert found.gap_after < 0.2 * found.gap_before


def test_light_tails_keep_moments_of_order_one_and_the_order_of_all() -> None:
    small = pool(50, 4).clamp(-1, 1)
    assert_close(light_tails(small), small)
    large = torch.linspace(-1e4, 1e4, 101, dtype=torch.float64)[:, None]
    tamed = light_tails(large)
    assert (tamed.diff(dim=0) > 0).all()
    assert_close(tamed[50], torch.zeros(1, dtype=torch.float64))
    assert tamed.max() < 100


def test_multipliers_give_the_weights_of_other_examples_too() -> None:
    moments = pool(200, 5)
    found = maximum_entropy_weights(moments, 60)
    assert_close(torch.softmax(light_tails(moments) @ found.multipliers, dim=0), found.weights)


def test_weights_begin_from_a_base() -> None:
    moments, base = pool(200, 5), torch.linspace(1, 3, 200, dtype=torch.float64)
    found = maximum_entropy_weights(moments, 60, base)
    logits = base.log() + light_tails(moments) @ found.multipliers
    assert_close(torch.softmax(logits, dim=0), found.weights)
    assert found.gap_after < found.gap_before
    even = maximum_entropy_weights(moments, 1000, base)
    assert_close(even.weights, base / base.sum())


def test_more_moments_than_examples_can_be_met() -> None:
    found = maximum_entropy_weights(pool(30, 100), 10)
    assert found.effective_sample_size >= 10
    assert found.gap_after < found.gap_before


def test_a_moment_that_no_weights_can_meet_keeps_the_floor() -> None:
    moments = torch.cat([pool(500, 10), torch.full((500, 1), 3.0, dtype=torch.float64)], dim=1)
    found = maximum_entropy_weights(moments, 50)
    assert found.effective_sample_size >= 50
    assert found.gap_after < found.gap_before


@pytest.mark.parametrize("floor", [0.5, 1.0, 3.0])
def test_one_example_has_all_weight(floor: float) -> None:
    found = maximum_entropy_weights(torch.tensor([[2.0, -3.0]]), floor)
    assert_close(found.weights, torch.ones(1))
    assert found.effective_sample_size == 1


def test_moments_in_16_bits_are_weighed_in_32() -> None:
    moments = pool(100, 5).bfloat16()
    assert_close(maximum_entropy_weights(moments, 30).weights, maximum_entropy_weights(moments.float(), 30).weights)


def test_a_penalty_is_found_above_the_first_guess() -> None:
    moments = torch.full((1000, 1), 0.3, dtype=torch.float64)
    moments[0] = -FAR
    found = maximum_entropy_weights(moments, 700)
    assert 700 <= found.effective_sample_size < 740
    assert math.isfinite(found.penalty)
    assert found.weights[0] > 10 / 1000
