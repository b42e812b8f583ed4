"""Diversity of a batch."""

import pytest
import torch

from beliefmatch.functional.diversity import diversity

SHAPE = (64, 3, 8, 8)


def random(seed: int = 0) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def test_inputs_with_nothing_in_common_have_1() -> None:
    assert diversity(random()).item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 1e-30, 3.0, 1e30])
def test_equal_inputs_have_none_whatever_they_show(value: float) -> None:
    assert diversity(torch.full(SHAPE, value)).item() == pytest.approx(0, abs=1e-5)
    assert diversity((value * random()[:1]).expand(SHAPE)).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-20, 7.0, 1e25])
def test_scale_does_not_count(scale: float) -> None:
    assert diversity(scale * random()).item() == pytest.approx(diversity(random()).item(), rel=1e-5)


def test_it_is_the_share_that_differs() -> None:
    common, own = random(1)[:1], random(2)
    found = diversity(3 * common + own).item()
    assert found == pytest.approx((1 / 10) ** 0.5, rel=0.05)


def test_16_bit_floats_are_enough() -> None:
    assert diversity(random().bfloat16()).item() == pytest.approx(diversity(random()).item(), rel=1e-2)
