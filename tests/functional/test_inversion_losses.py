"""Terms of inputs made for a network, against their definitions written out."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from beliefmatch.functional.inversion_losses import (
    activation_size,
    class_imbalance,
    contrastive_loss,
    input_size,
    one_hot_loss,
    total_variation,
)

LOGITS = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_one_hot_is_the_surprise_at_the_class_asked_for_or_else_at_the_likeliest() -> None:
    beliefs = LOGITS.softmax(dim=1)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    assert_close(one_hot_loss(LOGITS, labels), -beliefs[torch.arange(6), labels].log())
    assert_close(one_hot_loss(LOGITS), -beliefs.amax(dim=1).log())


def test_imbalance_is_the_negative_entropy_of_the_mean_belief() -> None:
    mean = LOGITS.softmax(dim=1).mean(dim=0)
    assert_close(class_imbalance(LOGITS), (mean * mean.log()).sum())
    assert_close(class_imbalance(100 * torch.eye(4)), torch.tensor(-math.log(4)))


def test_imbalance_of_a_single_class_is_0_and_has_a_finite_gradient() -> None:
    logits = torch.tensor([[500.0, 0.0, -500.0]]).repeat(3, 1).requires_grad_()
    found = class_imbalance(logits)
    found.backward()
    assert_close(found.detach(), torch.tensor(0.0))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2, 2)])
def test_activation_is_a_mean_over_all_features(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    assert_close(activation_size(features), features.abs().reshape(3, -1).mean(dim=1))
    assert activation_size(features.bfloat16()).dtype == torch.float32


def test_variation_sums_the_norms_of_neighbours_differences() -> None:
    image = torch.tensor([[0.0, 3.0], [4.0, 0.0]]).view(1, 1, 2, 2)
    assert_close(total_variation(image), torch.tensor([5.0 + 5.0]))
    assert_close(total_variation(torch.tensor([[[0.0, 3.0, -1.0]]])), torch.tensor([5.0]))
    assert_close(total_variation(torch.randn(2, 7)), torch.zeros(2))


@pytest.mark.parametrize("term", [total_variation, input_size])
def test_norms_of_nothing_have_a_finite_gradient(term: Callable[[Tensor], Tensor]) -> None:
    inputs = torch.zeros(2, 3, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(term(inputs).sum(), inputs)
    assert gradient.isfinite().all()


def test_size_is_a_norm_for_each_input() -> None:
    assert_close(input_size(torch.tensor([[3.0, 4.0], [0.0, 1.0]])), torch.tensor([5.0, 1.0]))


def by_loops(queries: Tensor, keys: Tensor, others: Tensor, temperature: float) -> Tensor:
    found = []
    for index, query in enumerate(queries):
        against = [*keys, *others]
        alike = torch.stack([query @ key / (query.norm() * key.norm()) / temperature for key in against])
        found.append(-(alike[index] - alike.exp().sum().log()))
    return torch.stack(found)


@pytest.mark.parametrize("num_others", [0, 5])
def test_contrast_is_info_nce(num_others: int) -> None:
    random = torch.Generator().manual_seed(1)
    queries, keys, others = (torch.randn(n, 3, generator=random).double() for n in (4, 4, num_others))
    assert_close(contrastive_loss(queries, keys, others, 0.5), by_loops(queries, keys, others, 0.5))


def test_contrast_is_small_where_views_agree_and_inputs_differ() -> None:
    apart, alike = torch.eye(4), torch.ones(4, 4)
    none = torch.empty(0, 4)
    assert contrastive_loss(apart, apart, none, 0.1).max() < 1e-3
    assert_close(contrastive_loss(alike, alike, none, 0.1), torch.full((4,), math.log(4)))
