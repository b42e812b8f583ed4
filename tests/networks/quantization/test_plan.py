"""Making a network compute with few bits, and undoing it."""

import copy
import pickle

import pytest
import torch
from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import cost_of
from beliefmatch.networks.quantization.layers import FakeQuantized, FakeQuantizedConv2d, quantized_layers
from beliefmatch.networks.quantization.plan import (
    apply_quantization,
    forget_quantization,
    quantization_of,
    quantize_layers,
    undo_quantization,
)
from beliefmatch.networks.quantization.steps import choose_log_steps, lowest_of_inputs
from beliefmatch.runs.schema.quantization_plan import QuantizationPlan, QuantizedLayer


class Shared(nn.Module):
    """A layer that runs twice, one whose weights are used without a call, one that never runs, and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3)
        self.twice = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.alias = self.twice
        self.used = nn.Linear(6, 6)
        self.unused = nn.Linear(6, 6)
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.used.weight
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.alias(self.twice(self.first(x)).relu()).relu().mean((2, 3))
        features = self.tied(features).sigmoid()
        return self.head(input=nn.functional.linear(features, self.used.weight, self.used.bias))


def make(weight_bits: int = 3, activation_bits: int = 4) -> Shared:
    torch.manual_seed(0)
    network = Shared()
    inputs = torch.randn(16, 1, 8, 8)
    quantize_layers(network, inputs, weight_bits=weight_bits, activation_bits=activation_bits, num_outputs=4)
    return network


def test_layers_that_run_get_bits_and_the_ends_get_eight() -> None:
    network = make()
    plan = quantization_of(network)
    assert plan is not None
    assert {layer.name: (layer.weight_bits, layer.activation_bits) for layer in plan.layers} == {
        "first": (8, 8),
        "twice": (3, 4),
        "tied": (3, 4),
        "head": (8, 8),
    }
    assert network.alias is network.twice
    assert isinstance(network.twice, FakeQuantized)
    assert isinstance(network.tied, FakeQuantized)
    assert network.tied.weight is network.used.weight
    # What a layer gets from a ReLU is never below 0.
    assert {layer.name: layer.lowest for layer in plan.layers if layer.name in ("twice", "tied")}["tied"] == 0
    assert plan.layers[0].lowest < -90


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_channel_has_no_more_weights_than_its_bits_allow(bits: int) -> None:
    network = make(weight_bits=bits)
    assert isinstance(network.twice, FakeQuantizedConv2d)
    for channel in network.twice.quantized_weight().detach().flatten(1):
        assert len(channel.unique()) <= 2**bits - 1 < channel.numel()
        assert len((channel / network.twice.weight_log_step.exp()[0, 0, 0, 0]).unique()) > 1


@pytest.mark.parametrize("bits", [2, 4])
def test_a_layer_computes_with_no_more_inputs_than_its_bits_allow(bits: int) -> None:
    network = make(activation_bits=bits)
    assert isinstance(network.twice, FakeQuantizedConv2d)
    found = network.twice.quantized_inputs(torch.randn(8, 6, 8, 8)).detach().unique()
    assert len(found) <= 2**bits


def test_all_of_it_learns() -> None:
    network = make()
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    for layer in quantized_layers(network):
        for parameter in (layer.weight, layer.weight_log_step, layer.input_log_step):
            assert parameter.grad is not None
            assert float(parameter.grad.abs().sum()) > 0


def test_undone_its_layers_are_torchs_own_with_the_same_weights() -> None:
    network = make()
    weights = {id(layer): layer.quantized_weight().detach() for layer in quantized_layers(network)}
    twice = weights[id(network.twice)]
    undo_quantization(network)
    assert type(network.twice) is nn.Conv2d
    assert torch.equal(network.twice.weight, twice)
    assert {*network.state_dict()} == {*Shared().state_dict()}
    assert quantization_of(network) is None
    assert network.alias is network.twice


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_it_is_copied_pickled_scripted_and_exported() -> None:
    network = make().eval().requires_grad_(requires_grad=False)
    inputs = torch.randn(4, 1, 8, 8)
    expected = network(inputs)
    assert torch.equal(copy.deepcopy(network)(inputs), expected)
    assert torch.equal(pickle.loads(pickle.dumps(network))(inputs), expected)
    assert torch.equal(torch.export.export(network, (inputs,)).module()(inputs), expected)
    forget_quantization(network)
    assert torch.equal(torch.jit.script(network)(inputs), expected)


def test_weights_count_as_many_bytes_as_their_bits() -> None:
    cost, before = cost_of(make(weight_bits=3), macs=0), cost_of(Shared(), macs=0)
    assert cost.parameters == before.parameters
    steps = 4 * (6 + 1 + 6 + 1 + 6 + 1 + 4 + 1)
    saved = 3 * 54 + 324 * 4 - -(-324 * 3 // 8) + 36 * 4 - -(-36 * 3 // 8) + 3 * 24
    assert cost.bytes == before.bytes + steps - saved


@pytest.mark.parametrize("network", [nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Linear(64, 3)])
def test_a_network_without_such_layers_is_one_line(network: nn.Module) -> None:
    with pytest.raises(NetworkError, match="can compute with few bits: expected modules") as caught:
        quantize_layers(network, torch.randn(4, 64), weight_bits=4, activation_bits=4, num_outputs=3)
    assert "\n" not in str(caught.value)


def one(name: str = "twice", weight_bits: int = 4, activation_bits: int = 4, lowest: int = 0) -> QuantizedLayer:
    return QuantizedLayer(name=name, weight_bits=weight_bits, activation_bits=activation_bits, lowest=lowest)


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ((one("no\nwhere"),), "which is not in the network; the nearest are"),
        ((one(""),), "of a type that cannot compute with few bits"),
        ((one(), one()), "names a layer twice"),
        ((one(weight_bits=1),), "weight_bits 1 for 'twice': expected 2 to 8"),
        ((one(activation_bits=40),), "activation_bits 40 for 'twice': expected 2 to 8"),
        ((one(lowest=1),), "lowest 1 for 'twice': expected -15 to 0"),
        ((one(lowest=-16),), "lowest -16 for 'twice': expected -15 to 0"),
    ],
)
def test_a_plan_that_does_not_fit_is_one_line(layers: tuple[QuantizedLayer, ...], why: str) -> None:
    with pytest.raises(NetworkError, match=why) as caught:
        apply_quantization(Shared(), QuantizationPlan(num_outputs=4, layers=layers))
    assert "\n" not in str(caught.value)


def test_the_first_steps_clip_what_costs_more_than_it_brings() -> None:
    torch.manual_seed(0)
    rows = torch.randn(2, 10_000)
    rows[1, 0] = 100.0
    steps = choose_log_steps(rows, -7, 7).exp()
    assert 0.3 < float(steps[0]) < 0.42, "about 0.335 is best for a normal distribution in 15 levels (Max 1960)"
    assert float(steps[1]) < 100 / 7
    assert bool(choose_log_steps(torch.zeros(1, 9), 0, 15).isfinite().all())


def test_levels_lie_where_values_lie() -> None:
    assert lowest_of_inputs(torch.tensor([0.0, 3.0]), 4) == 0
    assert lowest_of_inputs(torch.tensor([1.0, 3.0]), 4) == 0
    assert lowest_of_inputs(torch.tensor([-1.0, 2.0]), 4) == -5
    assert lowest_of_inputs(torch.tensor([-1.0, -2.0]), 4) == -15
    assert lowest_of_inputs(torch.zeros(3), 4) == 0
