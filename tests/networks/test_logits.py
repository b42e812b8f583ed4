"""Logits of every class, of networks that return something else."""

import copy
import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.networks.heads import find_head, keep_logits_precise
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.logits import settle_logits
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.execution.compiled import CompiledForward

SPEC = InputSpec(shape=(12,))


class Headed(nn.Module):
    """One or several outputs, in whatever form."""

    def __init__(self, form: Callable[[Tensor], Tensor] = lambda logit: logit, num_outputs: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 6), nn.Linear(6, num_outputs)
        self.form = form

    def forward(self, batch: Tensor) -> Tensor:
        return self.form(self.head(self.body(batch).tanh()))


def settled(network: nn.Module) -> nn.Module:
    settle_logits(network, SPEC, name="it")
    return network


@pytest.mark.parametrize(
    "form",
    [
        lambda logit: logit,
        lambda logit: logit.squeeze(1),
        torch.sigmoid,
        lambda logit: logit.sigmoid().squeeze(1),
        lambda logit: torch.sigmoid(logit.squeeze(1)).unsqueeze(1)[:, :1].reshape(-1, 1).clone(),
    ],
    ids=("logit", "flat", "sigmoid", "sigmoid, then flat", "sigmoid and much besides"),
)
def test_one_output_is_a_logit_against_none(form: Callable[[Tensor], Tensor]) -> None:
    batch, plain = torch.randn(5, 12), Headed()
    logits = settled(Headed(form))(batch)
    torch.testing.assert_close(logits, torch.cat([torch.zeros(5, 1), plain(batch)], dim=1))
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1:], plain(batch).sigmoid())


def test_what_is_settled_is_said_once_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    network = settled(settled(Headed(torch.sigmoid)))
    batch, expected = torch.randn(3, 12), network(torch.ones(2, 12))
    assert Teacher(network, SPEC).num_classes == 2
    assert caplog.messages == [
        "it ends in a sigmoid: the log-odds of its outputs are taken as logits",
        "it has one output: it is taken as the logit of class 1, and 0 as that of class 0",
    ]
    assert list(network.state_dict()) == list(Headed().state_dict())
    torch.testing.assert_close(copy.deepcopy(network)(torch.ones(2, 12)), expected)
    eager = network(batch)
    compiled = CompiledForward(network)
    found = network(batch)
    compiled.remove()
    torch.testing.assert_close(found, eager)


def test_several_sigmoids_give_their_log_odds_and_several_logits_stay() -> None:
    batch, plain = torch.randn(5, 12), Headed(num_outputs=4)
    torch.testing.assert_close(settled(Headed(torch.sigmoid, num_outputs=4))(batch), plain(batch))
    torch.testing.assert_close(settled(Headed(num_outputs=4))(batch), plain(batch))


def test_gradients_are_finite_where_a_sigmoid_is_certain() -> None:
    batch = (100 * torch.randn(8, 12)).requires_grad_()
    logits = settled(Headed(lambda logit: (1000 * logit).sigmoid()))(batch)
    assert logits.isfinite().all()
    (gradient,) = torch.autograd.grad(logits.sum(), batch)
    assert gradient.isfinite().all()


def test_a_probability_that_no_sigmoid_gave_is_said_to_look_like_one(caplog: pytest.LogCaptureFixture) -> None:
    settled(Headed(lambda logit: (logit.tanh() + 1) / 2))
    assert "whatever it is given, it answers between 0 and 1" in caplog.text
    caplog.clear()
    settled(Headed())
    assert "between 0 and 1" not in caplog.text


def test_one_output_is_exact_enough_in_16_bits() -> None:
    batch = 3 * torch.randn(64, 12)
    for form in (lambda logit: logit, torch.sigmoid):
        plain, network = Headed(), Headed(form)
        for each in (plain, network):
            nn.init.normal_(each.head.weight, std=6, generator=torch.Generator().manual_seed(1))
        keep_logits_precise(settled(network), SPEC)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(batch)
        expected = plain(batch)
        assert expected.abs().max() > 8
        torch.testing.assert_close(found[:, 1:], expected, atol=0.2, rtol=0.02)


def test_the_head_of_one_output_is_found() -> None:
    network = settled(Headed())
    assert find_head(network, SPEC) is network.get_submodule("head")
