"""Networks are measured as a caller has them: by what follows from their outputs, which need not be logits."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import ExamplesError, NetworkError
from beliefmatch.measurement import measure_pair
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.output_forms import to_logits

SPEC = InputSpec(shape=(7,))
RANDOM = torch.Generator().manual_seed(0)
INPUTS = torch.randn(60, 7, generator=RANDOM)
CLASSES = torch.randint(4, (60,), generator=RANDOM)


class Returning(nn.Module):
    """A linear layer, whose outputs are returned in one way or another."""

    def __init__(self, form: str, columns: int, seed: int) -> None:
        super().__init__()
        self.form = form
        self.layer = nn.Linear(7, columns)
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.layer.weight.normal_(0, 2, generator=random)
            self.layer.bias.normal_(generator=random)

    def forward(self, x: Tensor) -> Any:
        z = self.layer(x)
        match self.form:
            case "softmax":
                return z.softmax(dim=1)
            case "sigmoid":
                return z.sigmoid()
            case "by hand":
                return 1 / (1 + (-z).exp())
            case "flat":
                return z[:, 0]
            case "dictionary":
                return {"logits": z, "inputs": x}
        return z


def pair(form: str, columns: int) -> tuple[Returning, Returning]:
    return Returning(form, columns, 1), Returning(form, columns, 2)


@torch.no_grad()
def logits(network: Returning) -> Tensor:
    values = network.layer(INPUTS).double()
    return torch.cat([0 * values, values], dim=1) if values.shape[1] == 1 else values


@pytest.mark.parametrize(
    ("form", "columns"),
    [("softmax", 4), ("dictionary", 4), ("logits", 4), ("sigmoid", 1), ("flat", 1), ("logits", 1)],
)
def test_numbers_are_those_of_the_logits(form: str, columns: int) -> None:
    networks, labels = pair(form, columns), CLASSES % max(2, columns)
    found = measure_pair(*networks, SPEC, INPUTS, labels, num_resamples=20)
    first, second = (logits(network).log_softmax(dim=1) for network in networks)
    expected = float((first.exp() * (first - second)).sum(dim=1).mean())
    # A probability near 1 keeps few bits of its log-odds in 32 bits, and machines round it differently.
    assert found.divergence.value == pytest.approx(expected, rel=1e-4 if form in ("softmax", "sigmoid") else 1e-5)
    assert found.agreement.value == pytest.approx(float((first.argmax(1) == second.argmax(1)).double().mean()))
    assert found.teacher_accuracy == pytest.approx(float((first.argmax(1) == labels).double().mean()))
    assert not any(network._forward_hooks for network in networks)


@pytest.mark.parametrize("count", [60, 1])
def test_labels_of_sigmoids_are_predicted_above_a_half(count: int) -> None:
    networks = pair("sigmoid", 5)
    found = measure_pair(*networks, SPEC, INPUTS[:count], num_resamples=20, task="multi_label")
    first, second = (logits(network)[:count] > 0 for network in networks)
    assert found.agreement.value == pytest.approx(float((first == second).double().mean()))
    assert 0.1 < found.agreement.value < 0.9


@pytest.mark.parametrize("columns", [1, 5])
def test_a_sigmoid_by_hand_is_detected_as_when_it_is_loaded(columns: int) -> None:
    """Inputs of ordinary size leave it between 0.01 and 0.99; those of extreme sizes show both ends."""
    networks = pair("by hand", columns)
    for network in networks:
        network.layer.weight.data.mul_(0.1)
    inspected = inspect(networks[0], SPEC, role="teacher")
    found = measure_pair(*networks, SPEC, INPUTS, num_resamples=20)
    assert inspected.outputs == "sigmoid"
    first, second = (logits(network).log_softmax(dim=1) for network in networks)
    expected = float((first.exp() * (first - second)).sum(dim=1).mean())
    assert found.divergence.value == pytest.approx(expected, rel=1e-4)


def test_numbers_of_64_bits_keep_them() -> None:
    """Far from 0, where 32 bits hold differences of 0.06 alone."""
    first, second = (each.double() for each in pair("logits", 1))
    for network in (first, second):
        network.layer.bias.data += 1e6
    with torch.no_grad():
        values, others = (network.layer(INPUTS.double()) for network in (first, second))
    found = measure_pair(first, second, SPEC, INPUTS, values + 0.01, num_resamples=20, task="regression")
    assert found.numbers is not None
    assert found.numbers.teacher is not None
    assert found.numbers.teacher.mean_absolute_error.value == pytest.approx(0.01, rel=1e-4)
    expected = float((values - others).abs().mean())
    assert found.numbers.pair.mean_absolute_error.value == pytest.approx(expected, rel=1e-6)


def test_a_flat_regression_has_one_number() -> None:
    networks = pair("flat", 1)
    found = measure_pair(*networks, SPEC, INPUTS, num_resamples=20, task="regression")
    with torch.no_grad():
        first, second = (network.layer(INPUTS).double() for network in networks)
    expected = 1 - (first - second).square().mean() / first.var(correction=0)
    assert found.agreement.value == pytest.approx(float(expected), abs=1e-5)


def test_what_cannot_be_compared_is_told() -> None:
    first, second = Returning("logits", 3, 1), Returning("logits", 4, 2)
    with pytest.raises(NetworkError, match="the teacher knows 3 classes and the student 4"):
        measure_pair(first, second, SPEC, INPUTS)
    with pytest.raises(ExamplesError, match="there is a label 3, but the network knows classes 0 to 2 only"):
        measure_pair(first, first, SPEC, INPUTS, CLASSES)


@pytest.mark.parametrize(
    ("first", "second"), [(torch.float64, torch.float32), (torch.float32, torch.bfloat16), (torch.float16,) * 2]
)
@pytest.mark.parametrize("form", ["logits", "softmax"])
def test_networks_may_have_any_floating_types(first: torch.dtype, second: torch.dtype, form: str) -> None:
    networks = pair(form, 4)
    for network, dtype in zip(networks, (first, second), strict=True):
        network.to(dtype)
    found = measure_pair(*networks, SPEC, INPUTS, num_resamples=20, transition=TransitionPlan(num_images=3))
    with torch.no_grad():
        values = [network(INPUTS.to(dtype)) for network, dtype in zip(networks, (first, second), strict=True)]
    least = torch.tensor([2.0**-24 if each.dtype == torch.float16 else 0 for each in values])
    exact = [
        each.double().maximum(low).log() if form == "softmax" else each.double()
        for each, low in zip(values, least, strict=True)
    ]
    beliefs = [each.log_softmax(dim=1) for each in exact]
    divergence = nn.functional.kl_div(beliefs[1], beliefs[0], log_target=True, reduction="batchmean")
    assert found.divergence.value == pytest.approx(float(divergence), rel=1e-4 if form == "softmax" else 1e-5)


def test_the_logarithm_of_16_bit_probabilities_has_32_bits() -> None:
    values = torch.tensor([[0.3, 0.7 - 2.0**-24, 2.0**-24]], dtype=torch.float16)
    assert torch.equal(to_logits(values, "probabilities"), values.float().log())
    assert to_logits(torch.zeros(1, 2, dtype=torch.float16), "probabilities")[0, 0].item() == pytest.approx(
        math.log(2.0**-24)
    )


class Hiding(Returning):
    """Returns probabilities of bounded logits without a gradient: no graph tells what they are, and no extreme."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh().sigmoid().detach()


def test_a_hidden_sigmoid_is_named_with_a_way_that_the_caller_has(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        measure_pair(Hiding("", 4, 1), Returning("logits", 4, 2), SPEC, INPUTS, num_resamples=20)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "the teacher returns for the inputs tried lies between 0 and 1" in message
    assert message.endswith("give a network that returns what comes before its sigmoid")


def test_a_network_that_cannot_be_repeated_is_named(caplog: pytest.LogCaptureFixture) -> None:
    random = nn.Sequential(nn.Linear(7, 4), Always())
    with caplog.at_level("WARNING"):
        measure_pair(Returning("logits", 4, 2), random, SPEC, INPUTS, num_resamples=20)
    assert ["the student gives other outputs each time" in each.getMessage() for each in caplog.records] == [True]


class Always(nn.Module):
    """Dropout that nobody told of eval mode."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)
