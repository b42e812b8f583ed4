"""Networks are measured as a caller has them: by what follows from their outputs, which need not be logits."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import ExamplesError, NetworkError
from beliefmatch.measurement import measure_pair
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect

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
