"""What inspection finds of a network, and that it changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import count_macs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, count_classes, inspect
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.output_forms import give_logits
from odd_networks import make_rounding, make_with_unused_head
from passes import passes_of
from tiny import make_conv_teacher, make_mlp_teacher, make_nan_teacher

VECTOR = InputSpec(shape=(12,))


def inspected(network: nn.Module, spec: InputSpec = DIGITS) -> Inspection:
    return inspect(network, spec, role="teacher")


def test_everything_is_found_in_two_passes() -> None:
    network = make_conv_teacher().double()
    with passes_of(network) as passes:
        found = inspected(network)
    assert len(passes) == 2
    assert (found.num_classes, found.outputs, found.returns_logits) == (10, "logits", True)
    assert (found.head, found.layer_in_32_bits) == ("5", "5")
    assert found.batch_norms == ("1",)
    assert found.feature_maps == {(8, 8): "2", (2, 2): "3"}
    assert found.shapes["3"] == (8, 2, 2)
    assert found.macs == count_macs(network, DIGITS) == 64 * 9 * 8 + 32 * 10
    assert found.takes_any_batch
    assert found.why_no_gradient is None
    assert found.statistics_have_gradient
    assert found.dtype == torch.float64


class Odd(nn.Module):
    """Does something to the logits of two layers, or between them."""

    def __init__(self, within: Callable[[Tensor], Tensor], last: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 6), nn.Linear(6, 4)
        self.within, self.last = within, last

    def forward(self, batch: Tensor) -> Any:
        return self.last(self.head(self.within(self.body(batch))))


def same(values: Tensor) -> Tensor:
    return values


@pytest.mark.parametrize(
    ("network", "passes"),
    [
        (Odd(same, same), 2),
        (Odd(same, lambda logits: logits.softmax(dim=1)), 2),
        (Odd(same, lambda logits: {"logits": logits}), 2),
        (Odd(same, torch.sigmoid), 2),
        (Odd(same, lambda logits: 1 / (1 + (-logits).exp())), 3),
        (Odd(lambda values: torch.from_numpy(values.numpy()), same), 3),
    ],
    ids=("logits", "softmax", "dict", "sigmoid", "by hand", "numpy"),
)
def test_there_are_at_most_three_passes(network: nn.Module, passes: int) -> None:
    network.requires_grad_(requires_grad=False)
    with passes_of(network) as found:
        inspected(network, VECTOR)
    assert len(found) == passes


def test_why_no_gradient_arrives_is_known_and_none_is_found_where_the_first_pass_fails() -> None:
    assert inspected(make_rounding()).why_no_gradient == ""
    assert not inspected(make_rounding()).statistics_have_gradient
    failing = Odd(lambda values: torch.from_numpy(values.numpy()), same).requires_grad_(requires_grad=False)
    found = inspected(failing, VECTOR)
    assert found.why_no_gradient
    assert found.why_no_gradient.startswith(" (RuntimeError: Can't call numpy() on Tensor that requires grad")
    assert (found.num_classes, found.head) == (4, "head")
    assert inspected(make_mlp_teacher(), VECTOR).why_no_gradient is None
    assert not inspected(make_mlp_teacher(), VECTOR).statistics_have_gradient


def test_a_batch_norm_layer_that_no_batch_passes_does_not_count() -> None:
    assert inspected(make_with_unused_head()).batch_norms == ("body.1",)


def test_batch_norm_layers_are_named_in_the_order_of_the_network() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first, self.head = nn.BatchNorm1d(12), nn.BatchNorm1d(12), nn.Linear(12, 3)

        def forward(self, batch: Tensor) -> Tensor:
            return self.head(self.second(self.first(batch)))

    assert inspected(Backwards(), VECTOR).batch_norms == ("second", "first")


def test_nothing_of_the_network_changes() -> None:
    network = nn.Sequential(nn.BatchNorm1d(12), nn.Dropout(), nn.Linear(12, 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    inspected(network, VECTOR)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (make_nan_teacher(), "the student returns values that are not finite: are its weights whole"),
        (nn.Linear(7, 3), r"the student does not take inputs of shape \(1, 8, 8\): mat1 and mat2"),
        (nn.Identity(), r"Identity returned a tensor of shape \(7, 1, 8, 8\), expected logits \(7, classes\)"),
    ],
)
def test_what_noise_leaves_unusable_is_told_in_one_line(network: nn.Module, message: str) -> None:
    for look in (inspect, count_classes):
        with pytest.raises(NetworkError, match=message) as caught:
            look(network, DIGITS, role="student")
        assert "\n" not in str(caught.value)


def test_an_exploding_network_is_taken_if_ordinary_inputs_are_finite() -> None:
    network = Odd(lambda values: (60 * values).exp(), lambda logits: logits.clamp(-1e30, 1e30) / 1e3)
    nn.init.constant_(network.body.weight, 0.1)
    assert inspected(network.double(), VECTOR).num_classes == 4


def test_classes_are_those_of_the_logits_that_a_hook_gives() -> None:
    network = nn.Linear(12, 1)
    give_logits(network, "logits")
    assert count_classes(network, VECTOR, role="teacher") == 2
