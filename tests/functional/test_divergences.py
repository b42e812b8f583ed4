"""Divergences against their textbook forms, and where those break."""

import pytest
import torch
from torch.nn.functional import kl_div, log_softmax, softmax

from beliefmatch.functional.divergences import DIVERGENCES, js_divergence, kl_divergence, l1_divergence


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(5, 7, generator=random).double(), torch.randn(5, 7, generator=random).double()


def test_kl_is_the_sum_over_classes_of_the_textbook_form(logits: tuple[torch.Tensor, torch.Tensor]) -> None:
    p, q = (softmax(x / 3.0, dim=1) for x in logits)
    torch.testing.assert_close(kl_divergence(*logits, 3.0), (p * (p / q).log()).sum(dim=1))


def test_js_is_the_mean_kl_to_the_mixture(logits: tuple[torch.Tensor, torch.Tensor]) -> None:
    p, q = (softmax(x, dim=1) for x in logits)
    m = (p + q) / 2
    expected = ((p * (p / m).log()).sum(dim=1) + (q * (q / m).log()).sum(dim=1)) / 2
    torch.testing.assert_close(js_divergence(*logits), expected)


def test_l1_ignores_a_constant_added_to_all_logits() -> None:
    teacher, student = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[11.0, 12.0, 16.0]])
    torch.testing.assert_close(l1_divergence(teacher, student), torch.tensor([4 / 3]))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_very_confident_teacher_leaves_every_gradient_finite(name: str) -> None:
    teacher = torch.tensor([[400.0, 0.0, -400.0]], requires_grad=True)
    student = torch.tensor([[-3.0, 1.0, 2.0]], requires_grad=True)
    assert (softmax(teacher, dim=1) == 0).any(), "the case needs a probability that underflows"
    DIVERGENCES[name](teacher, student, 1.0).sum().backward()  # pyright: ignore[reportArgumentType]
    assert teacher.grad is not None
    assert student.grad is not None
    assert teacher.grad.isfinite().all()
    assert student.grad.isfinite().all()


def test_the_usual_form_fails_where_ours_does_not() -> None:
    teacher = torch.tensor([[400.0, 0.0, -400.0]], requires_grad=True)
    usual = kl_div(log_softmax(torch.zeros(1, 3), dim=1), softmax(teacher, dim=1), reduction="sum")
    usual.backward()
    assert teacher.grad is not None
    assert not teacher.grad.isfinite().all()
