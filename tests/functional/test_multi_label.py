"""Divergences and scores of labels, against slow plain formulas."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from beliefmatch.functional.multi_label import (
    binary_js_divergence,
    binary_kl_divergence,
    f1_scores,
    l1_distance,
    label_agreement,
    label_confidence,
    label_frequencies,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_kl(first: float, second: float) -> float:
    pairs = ((first, second), (1 - first, 1 - second))
    return sum(p * math.log(p / q) for p, q in pairs if p > 0)


def probabilities(logits: Tensor, temperature: float) -> list[list[float]]:
    return [[1 / (1 + math.exp(-value / temperature)) for value in row] for row in logits.tolist()]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergences_are_sums_over_labels(temperature: float) -> None:
    teacher, student = drawn(6, 5), drawn(6, 5, seed=1)
    rows = list(zip(probabilities(teacher, temperature), probabilities(student, temperature), strict=True))
    kl = [sum(map(slow_kl, first, second)) for first, second in rows]
    js = [
        sum((slow_kl(p, (p + q) / 2) + slow_kl(q, (p + q) / 2)) / 2 for p, q in zip(first, second, strict=True))
        for first, second in rows
    ]
    torch.testing.assert_close(binary_kl_divergence(teacher, student, temperature).tolist(), kl)
    torch.testing.assert_close(binary_js_divergence(teacher, student, temperature).tolist(), js)
    expected = (teacher - student).abs().mean(dim=1) / temperature
    torch.testing.assert_close(l1_distance(teacher, student, temperature), expected)


def test_its_gradient_is_that_of_binary_cross_entropy() -> None:
    teacher, student = drawn(6, 5), drawn(6, 5, seed=1).requires_grad_()
    (first,) = torch.autograd.grad(binary_kl_divergence(teacher, student).sum(), student)
    (second,) = torch.autograd.grad(
        binary_cross_entropy_with_logits(student, teacher.sigmoid(), reduction="sum"), student
    )
    torch.testing.assert_close(first, second)


def test_sure_labels_have_finite_divergences_and_gradients() -> None:
    teacher = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    student = torch.tensor([[-1e4, -1e4, 50.0]], requires_grad=True)
    for divergence in (binary_kl_divergence, binary_js_divergence, l1_distance):
        value = divergence(teacher, student).sum()
        gradients = torch.autograd.grad(value, (teacher, student))
        assert value.isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)
    assert binary_kl_divergence(teacher, teacher).item() == 0


def test_scores_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, predicted = drawn(40, 6) > 0, drawn(40, 6, seed=1) > 1
    true[:, 5] = predicted[:, 5] = False
    counts = torch.stack([true & predicted, ~true & predicted, true & ~predicted], dim=1).double().mean(dim=0)
    expected = [
        metrics.f1_score(true.numpy(), predicted.numpy(), average=each, zero_division=0) for each in ("micro", "macro")
    ]
    torch.testing.assert_close(f1_scores(counts).tolist(), expected)


def test_labels_are_predicted_above_a_half() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, -3.0], [-1.0, -2.0]])
    torch.testing.assert_close(label_frequencies(logits), torch.tensor([2 / 3, 0.0]))
    assert label_agreement(logits, -logits).sum() == 0
    likely = torch.maximum(logits.sigmoid(), 1 - logits.sigmoid()).mean(dim=1)
    torch.testing.assert_close(label_confidence(logits), likely)
