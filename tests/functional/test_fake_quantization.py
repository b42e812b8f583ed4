"""Rounding to few levels, and the gradients that pass it."""

import pytest
import torch
from torch import Tensor

from beliefmatch.functional.fake_quantization import fake_quantize


def composed(values: Tensor, log_step: Tensor, lowest: int, highest: int) -> Tensor:
    """Compute the same of elementary operations, with autograd's own gradient: the oracle."""
    scaled = (values / log_step.exp()).clamp(lowest, highest)
    return (scaled + (scaled.round() - scaled).detach()) * log_step.exp()


@pytest.mark.parametrize(("lowest", "highest"), [(-7, 7), (0, 15), (-3, 12), (-1, 1)])
def test_values_become_the_nearest_levels(lowest: int, highest: int) -> None:
    values = torch.linspace(-3, 3, 1001)
    found = fake_quantize(values, torch.tensor(0.1).log(), lowest, highest)
    step, zero = torch.tensor(0.1), torch.zeros((), dtype=torch.int32)
    assert len(found.unique()) == highest - lowest + 1
    torch.testing.assert_close(
        found, torch.fake_quantize_per_tensor_affine(values, step, zero - lowest, 0, highest - lowest)
    )


def test_the_gradient_passes_straight_through_within_the_levels_and_not_beyond() -> None:
    values = torch.tensor([-0.8, -0.69, -0.31, 0.0, 0.04, 0.699, 0.71, 5.0], requires_grad=True)
    weights = torch.arange(1.0, 9.0)
    (weights * fake_quantize(values, torch.tensor(0.1).log(), -7, 7)).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 2, 3, 4, 5, 6, 0, 0]


@pytest.mark.parametrize("shape", [(), (4, 1, 1)])
def test_the_gradient_of_the_step_is_that_of_esser_et_al(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values, weights = torch.randn(2, 4, 5, 6, dtype=torch.float64).unbind()
    steps = [torch.full(shape, -1.0, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    own, oracle = (values.clone().requires_grad_() for _ in range(2))
    (weights * fake_quantize(own, steps[0], -2, 3)).sum().backward()
    (weights * composed(oracle, steps[1], -2, 3)).sum().backward()
    assert steps[0].grad is not None
    assert steps[1].grad is not None
    torch.testing.assert_close(own.grad, oracle.grad)
    torch.testing.assert_close(steps[0].grad, steps[1].grad / (5 * 6 * 3) ** 0.5)


def test_without_gradients_it_computes_the_same() -> None:
    values, log_step = torch.randn(4, 9), torch.full((4, 1), -1.3)
    with torch.no_grad():
        found = fake_quantize(values, log_step, -7, 7)
    assert torch.equal(found, fake_quantize(values, log_step.requires_grad_(), -7, 7))


def test_half_precision_is_rounded_in_the_precision_of_the_step() -> None:
    values = torch.randn(100, dtype=torch.bfloat16)
    found = fake_quantize(values, torch.tensor(0.013).log(), -128, 127)
    assert found.dtype == torch.float32
    assert torch.equal(found, fake_quantize(values.float(), torch.tensor(0.013).log(), -128, 127))
