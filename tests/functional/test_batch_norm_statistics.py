"""The gap between a batch and remembered statistics."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from beliefmatch.functional.batch_norm_statistics import statistics_gap


def test_a_batch_with_the_remembered_statistics_has_no_gap() -> None:
    batch = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    layer = nn.BatchNorm2d(3, momentum=1.0).double()
    layer(batch)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    size = 16 * 4 * 4
    gap = statistics_gap([batch], [layer.running_mean], [layer.running_var * (size - 1) / size])
    assert gap < 1e-12


def test_the_gap_adds_the_norms_of_both_differences() -> None:
    batch = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])  # means 0 and 1, variances 1 and 0
    gap = statistics_gap([batch], [torch.tensor([3.0, 5.0])], [torch.tensor([1.0, 2.0])])
    assert_close(gap, torch.tensor(5.0 + 2.0))


SHAPES = [(6, 3, 4, 5), (6, 2), (6, 4, 7)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gap_and_its_gradient_are_those_of_torchs_variance(memory_format: torch.memory_format) -> None:
    random = torch.Generator().manual_seed(0)
    batches = [torch.randn(shape, generator=random, dtype=torch.double) for shape in SHAPES]
    batches = [batch.to(memory_format=memory_format) if batch.dim() == 4 else batch for batch in batches]
    leaves = [batch.requires_grad_() for batch in batches]
    means, variances = ([torch.randn(shape[1], generator=random).double() for shape in SHAPES] for _ in range(2))
    gap = statistics_gap(leaves, means, variances)
    expected = torch.zeros(())
    for leaf, mean, variance in zip(leaves, means, variances, strict=True):
        axes = [axis for axis in range(leaf.dim()) if axis != 1]
        found_variance, found_mean = torch.var_mean(leaf, dim=axes, correction=0)
        expected = expected + (found_mean - mean).norm() + (found_variance - variance).norm()
    assert_close(gap, expected)
    assert_close(torch.autograd.grad(3 * gap, leaves), torch.autograd.grad(3 * expected, leaves))


def test_a_gap_in_16_bits_is_that_of_the_same_values_in_32() -> None:
    batch = 3 + torch.randn((64, 3, 8, 8), generator=torch.Generator().manual_seed(0)).bfloat16()
    remembered = [torch.zeros(3)], [torch.ones(3)]
    leaves = [batch.clone().requires_grad_(), batch.float().requires_grad_()]
    gaps = [statistics_gap([leaf], *remembered) for leaf in leaves]
    assert_close(*gaps)
    found, expected = (torch.autograd.grad(gap, leaf)[0] for gap, leaf in zip(gaps, leaves, strict=True))
    assert found.dtype == torch.bfloat16
    assert_close(found, expected.bfloat16())
