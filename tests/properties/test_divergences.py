"""Properties that hold for any beliefs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beliefmatch.functional.divergences import DIVERGENCES, DivergenceName, js_divergence, kl_divergence

NAMES: list[DivergenceName] = ["kl", "js", "l1"]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    batch, classes = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    values = st.lists(st.floats(-60, 60), min_size=batch * classes, max_size=batch * classes)
    return tuple(torch.tensor(draw(values), dtype=torch.float64).view(batch, classes) for _ in range(2))  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("name", NAMES)
@given(pair=pairs(), temperature=st.floats(0.5, 8))
@settings(max_examples=60, deadline=None)
def test_one_value_per_example_at_least_zero_and_zero_for_equal_beliefs(
    name: DivergenceName, pair: tuple[Tensor, Tensor], temperature: float
) -> None:
    teacher, student = pair
    values = DIVERGENCES[name](teacher, student, temperature)
    assert values.shape == teacher.shape[:1]
    assert (values >= -1e-9).all()
    torch.testing.assert_close(
        DIVERGENCES[name](teacher, teacher + 5, temperature), torch.zeros(len(teacher)).double(), atol=1e-9, rtol=0
    )


@given(pair=pairs())
@settings(max_examples=60, deadline=None)
def test_js_is_symmetric_and_bounded(pair: tuple[Tensor, Tensor]) -> None:
    teacher, student = pair
    torch.testing.assert_close(js_divergence(teacher, student), js_divergence(student, teacher))
    assert (js_divergence(teacher, student) <= math.log(2) + 1e-9).all()


@given(pair=pairs(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_order_of_classes_does_not_matter(pair: tuple[Tensor, Tensor], seed: int) -> None:
    teacher, student = pair
    order = torch.randperm(teacher.shape[1], generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(kl_divergence(teacher, student), kl_divergence(teacher[:, order], student[:, order]))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_finite_differences_in_both_arguments(name: DivergenceName) -> None:
    random = torch.Generator().manual_seed(1)
    teacher, student = (torch.randn(3, 5, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda t, s: DIVERGENCES[name](t, s, 2.0), (teacher, student))
