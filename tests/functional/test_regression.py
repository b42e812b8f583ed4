"""Divergences and scores of numbers, against scikit-learn and plain formulas."""

import pytest
import torch

from beliefmatch.functional.regression import explained_variance, gaussian_divergence, spread


def test_the_divergence_is_that_of_normal_distributions() -> None:
    torch.manual_seed(0)
    teacher, student = torch.randn(6, 3), torch.randn(6, 3)
    expected = [
        sum(
            float(
                torch.distributions.kl_divergence(
                    torch.distributions.Normal(a, 1.0), torch.distributions.Normal(b, 1.0)
                )
            )
            for a, b in zip(first / 2, second / 2, strict=True)
        )
        for first, second in zip(teacher, student, strict=True)
    ]
    torch.testing.assert_close(gaussian_divergence(teacher, student, 2.0), torch.tensor(expected))


def test_explained_variance_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(0)
    expected, predicted = torch.randn(30, 4).double(), torch.randn(30, 4).double()
    expected[:, 2] *= 5
    found = metrics.r2_score(expected.numpy(), predicted.numpy(), multioutput="variance_weighted")
    assert float(explained_variance(expected, predicted)) == pytest.approx(found)
    assert float(explained_variance(expected, expected)) == 1
    assert float(explained_variance(torch.ones(5, 2), torch.zeros(5, 2))) == 0
    assert float(spread(expected)) == pytest.approx(float(expected.numpy().var(axis=0).mean() ** 0.5))
