"""The gap between a batch and remembered statistics."""

import torch
from torch import nn

from beliefmatch.functional.statistics import statistics_gap


def test_a_batch_with_the_remembered_statistics_has_no_gap() -> None:
    batch = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    layer = nn.BatchNorm2d(3, momentum=1.0).double()
    layer(batch)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    size = 16 * 4 * 4
    gap = statistics_gap(batch, layer.running_mean, layer.running_var * (size - 1) / size)
    assert gap < 1e-12


def test_the_gap_adds_the_norms_of_both_differences() -> None:
    batch = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])  # means 0 and 1, variances 1 and 0
    gap = statistics_gap(batch, torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(gap, torch.tensor(5.0 + 2.0))


def test_the_gap_and_its_gradient_are_those_of_torchs_variance() -> None:
    random = torch.Generator().manual_seed(0)
    batch = torch.randn(6, 3, 4, 5, generator=random, dtype=torch.double, requires_grad=True)
    mean, var = torch.randn(2, 3, generator=random, dtype=torch.double)
    gap = statistics_gap(batch, mean, var)
    found_var, found_mean = torch.var_mean(batch, dim=(0, 2, 3), correction=0)
    expected = (found_mean - mean).norm() + (found_var - var).norm()
    torch.testing.assert_close(gap, expected)
    torch.testing.assert_close(torch.autograd.grad(gap, batch), torch.autograd.grad(expected, batch))
