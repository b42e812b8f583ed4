"""Logits of every class, of networks that return something else."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.heads import compute_in_32_bits
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, inspect
from beliefmatch.networks.output_forms import OutputForm, form_of, give_logits
from beliefmatch.networks.taps import outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.execution.compiled import CompiledForward
from passes import passes_of

SPEC = InputSpec(shape=(12,))


class Headed(nn.Module):
    """One or several outputs, in whatever form."""

    def __init__(self, form: Callable[[Tensor], Any] = lambda logit: logit, num_outputs: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 6), nn.Linear(6, num_outputs)
        self.form = form

    def forward(self, batch: Tensor) -> Any:
        return self.form(self.head(self.body(batch).tanh()))


def with_logits(network: nn.Module, outputs: OutputForm | None = None) -> nn.Module:
    give_logits(network, inspect(network, SPEC, role="teacher", outputs=outputs).outputs)
    return network


def found(network: nn.Module, outputs: OutputForm | None = None) -> Inspection:
    return inspect(network, SPEC, role="teacher", outputs=outputs)


SIGMOIDS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "then flat": lambda logit: logit.sigmoid().squeeze(1),
    "by hand": lambda logit: 1 / (1 + (-logit).exp()),
    "of tanh": lambda logit: ((logit / 2).tanh() + 1) / 2,
}


@pytest.mark.parametrize("form", [lambda logit: logit, lambda logit: logit.squeeze(1)], ids=("column", "flat"))
@pytest.mark.parametrize("outputs", [None, "logits"])
def test_one_output_is_a_logit_against_none(form: Callable[[Tensor], Tensor], outputs: OutputForm | None) -> None:
    batch, plain = torch.randn(5, 12), Headed()
    logits = with_logits(Headed(form), outputs)(batch)
    torch.testing.assert_close(logits, torch.cat([torch.zeros(5, 1), plain(batch)], dim=1))
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1:], plain(batch).sigmoid())


@pytest.mark.parametrize("outputs", ["sigmoid", "probabilities"])
@pytest.mark.parametrize("name", SIGMOIDS)
def test_one_probability_gives_its_log_odds_where_the_user_says_what_it_is(name: str, outputs: OutputForm) -> None:
    batch, plain = torch.randn(5, 12), Headed()
    logits = with_logits(Headed(SIGMOIDS[name]), outputs)(batch)
    expected = torch.cat([torch.zeros(5, 1), plain(batch)], dim=1)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


class Bounded(nn.Module):
    """Its logits are small for inputs of any size, since they are standardised before its head."""

    def __init__(self, last: Callable[[Tensor], Tensor], num_outputs: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 6), nn.Linear(6, num_outputs)
        self.norm, self.last = nn.LayerNorm(6), last

    def forward(self, batch: Tensor) -> Tensor:
        return self.last(self.head(self.norm(self.body(batch))))


@pytest.mark.parametrize(
    ("last", "num_outputs"),
    [
        (torch.sigmoid, 1),
        (torch.sigmoid, 4),
        (lambda logits: logits.sigmoid().squeeze(1), 1),
        (lambda logits: torch.cat([each.sigmoid() for each in logits.split(1, dim=1)], dim=1), 4),
        (lambda logits: logits.double().sigmoid().float()[:, None].flatten(1).clamp(1e-7, 1 - 1e-7), 4),
    ],
    ids=("one", "several", "flat", "heads", "reshaped"),
)
def test_a_sigmoid_is_detected_by_the_graph_whatever_its_values(
    last: Callable[[Tensor], Tensor], num_outputs: int, caplog: pytest.LogCaptureFixture
) -> None:
    network, batch = Bounded(last, num_outputs), torch.randn(5, 12)
    with passes_of(network) as passes:
        assert found(network).outputs == "sigmoid"
    assert len(passes) == 2
    assert "taken as logits;" not in caplog.text
    expected = Bounded(lambda logits: logits, num_outputs)(batch)
    torch.testing.assert_close(with_logits(network)(batch)[:, -num_outputs:], expected, atol=1e-5, rtol=1e-5)


def test_a_sigmoid_of_a_fresh_head_is_one() -> None:
    network = Headed(torch.sigmoid, num_outputs=2)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    assert found(network).outputs == "sigmoid"


@pytest.mark.parametrize(
    "last",
    [
        lambda logits: logits.sigmoid() * logits,
        lambda logits: torch.cat([logits.sigmoid()[:, :1], logits[:, 1:]], dim=1),
        lambda logits: torch.cat([logits.sigmoid()[:, :1], torch.zeros(len(logits), 1)], dim=1),
    ],
    ids=("gated", "one of them", "beside a constant"),
)
def test_what_is_no_sigmoid_throughout_is_none(last: Callable[[Tensor], Tensor]) -> None:
    assert found(Bounded(last, 4)).outputs == "logits"


def by_hand(logits: Tensor) -> Tensor:
    return 1 / (1 + (-logits).exp())


def test_a_sigmoid_that_reaches_both_ends_is_detected_by_its_values() -> None:
    steep = Headed(lambda logit: by_hand(30 * logit))
    assert (found(steep).outputs, found(steep).num_classes) == ("sigmoid", 2)
    several = Headed(lambda logits: by_hand(30 * logits), num_outputs=4)
    assert (found(several).outputs, found(several).num_classes) == ("sigmoid", 4)
    linear = nn.Linear(12, 1)
    nn.init.constant_(linear.weight, 0.01)
    hook: Callable[..., Any] = lambda _network, _inputs, output: by_hand(output)  # noqa: E731
    linear.register_forward_hook(hook)
    assert found(linear).outputs == "sigmoid"


def test_what_may_be_a_probability_or_a_logit_is_taken_as_logits_and_the_flag_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert found(Headed(by_hand)).outputs == "logits"
    assert "for the inputs tried lies between 0 and 1: it is taken as logits" in caplog.text
    assert "teacher.outputs='sigmoid'" in caplog.text
    caplog.clear()
    assert found(Headed(by_hand), "logits").outputs == "logits"
    assert found(Headed()).outputs == "logits"
    assert "between 0 and 1" not in caplog.text


def test_outputs_that_are_all_alike_are_no_probabilities() -> None:
    network = Headed(num_outputs=3)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    assert found(network).outputs == "logits"


def test_probabilities_of_all_classes_give_their_logarithms() -> None:
    batch, plain = torch.randn(5, 12), Headed(num_outputs=4)
    network = with_logits(Headed(lambda logits: logits.softmax(dim=1), num_outputs=4))
    torch.testing.assert_close(network(batch), plain(batch).log_softmax(dim=1))


@pytest.mark.parametrize(
    ("form", "num_outputs", "outputs", "message"),
    [
        (lambda logits: 9 * logits, 1, "sigmoid", "teacher.outputs='sigmoid' says .* expected values between 0 and 1"),
        (torch.sigmoid, 3, "probabilities", "teacher.outputs='probabilities' says .* with the sum 1; leave it out, or"),
    ],
)
def test_a_form_that_the_values_contradict_is_refused(
    form: Callable[[Tensor], Tensor], num_outputs: int, outputs: OutputForm, message: str
) -> None:
    with pytest.raises(NetworkError, match=message):
        found(Headed(form, num_outputs), outputs)


def test_what_is_converted_is_said_once_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    network = with_logits(Headed(torch.sigmoid), "sigmoid")
    expected = network(torch.ones(2, 12))
    teacher = Teacher(network, SPEC)
    assert (teacher.num_classes, teacher.inspection.outputs) == (2, "sigmoid")
    assert len(network._forward_hooks) == 1
    assert caplog.messages == [
        "the teacher returns probabilities of a sigmoid: their log-odds, of at most 16.6, are taken as logits",
        "the teacher has one output: it is taken as the logit of class 1, and 0 as that of class 0",
    ]
    assert list(network.state_dict()) == list(Headed().state_dict())
    assert form_of(copy.deepcopy(network)) == "sigmoid"
    torch.testing.assert_close(copy.deepcopy(network)(torch.ones(2, 12)), expected)


@pytest.mark.long
def test_a_compiled_network_converts_as_an_eager_one() -> None:
    network, batch = with_logits(Headed(torch.sigmoid), "sigmoid"), torch.randn(3, 12)
    eager = network(batch)
    compiled = CompiledForward(network)
    compiled_logits = network(batch)
    compiled.remove()
    torch.testing.assert_close(compiled_logits, eager)


def test_a_handle_gives_a_network_its_own_outputs_back() -> None:
    network = Headed(torch.sigmoid)
    handle = give_logits(network, "sigmoid")
    assert handle
    assert network(torch.ones(2, 12)).shape == (2, 2)
    assert give_logits(network, "logits") is None
    handle.remove()
    assert network(torch.ones(2, 12)).shape == (2, 1)
    assert form_of(network) is None


def test_several_sigmoids_give_their_log_odds_and_several_logits_stay() -> None:
    batch, plain = torch.randn(5, 12), Headed(num_outputs=4)
    torch.testing.assert_close(with_logits(Headed(torch.sigmoid, num_outputs=4), "sigmoid")(batch), plain(batch))
    assert found(plain).returns_logits


def test_gradients_are_finite_where_a_sigmoid_is_certain() -> None:
    batch = (100 * torch.randn(8, 12)).requires_grad_()
    logits = with_logits(Headed(lambda logit: (1000 * logit).sigmoid()), "sigmoid")(batch)
    assert logits.isfinite().all()
    (gradient,) = torch.autograd.grad(logits.sum(), batch)
    assert gradient.isfinite().all()


def test_one_output_is_exact_enough_in_16_bits() -> None:
    torch.manual_seed(0)
    batch = 3 * torch.randn(64, 12)
    forms: list[tuple[Callable[[Tensor], Tensor], OutputForm]] = [(lambda logit: logit, "logits")]
    for form, outputs in [*forms, (torch.sigmoid, "sigmoid")]:
        plain, network = Headed(), Headed(form)
        for each in (plain, network):
            nn.init.normal_(each.head.weight, std=6, generator=torch.Generator().manual_seed(1))
        compute_in_32_bits(network, found(network, outputs).layer_in_32_bits)
        give_logits(network, outputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(batch)
        expected = plain(batch)
        assert expected.abs().max() > 8
        torch.testing.assert_close(logits[:, 1:], expected, atol=0.2, rtol=0.02)


def make_dict(num_outputs: int = 3) -> Headed:
    return Headed(lambda logits: {"features": logits[:, :, None], "logits": logits}, num_outputs)


def test_logits_in_an_object_are_found_by_a_hook_that_copies_keep() -> None:
    network, batch = make_dict(), torch.randn(2, 12)
    keys = list(network.state_dict())
    assert not found(network).returns_logits
    with_logits(network)
    assert list(network.state_dict()) == keys
    assert torch.equal(copy.deepcopy(network)(batch), network(batch))
    assert network(batch).shape == (2, 3)
    assert with_logits(make_dict(1))(batch).shape == (2, 2)


def test_a_compiled_network_gives_logits_and_can_be_tapped() -> None:
    network, batch = with_logits(make_dict()), torch.randn(2, 12)
    eager = outputs_of(network, batch, outputs=["body"])
    compiled = CompiledForward(network, outputs=["body"])
    read = outputs_of(network, batch, outputs=["body"])
    compiled.remove()
    torch.testing.assert_close(read.logits, eager.logits)
    torch.testing.assert_close(read.activations["body"], eager.activations["body"])
