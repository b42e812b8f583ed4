"""Thinned networks: so much is kept of them, and what is kept is the network's own."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import NUM_REPEATS
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning import thinning
from beliefmatch.networks.pruning.channel_groups import find_groups
from beliefmatch.networks.pruning.narrowing import apply_plan, layer_sizes
from beliefmatch.networks.pruning.thinning import Counted, channels_at_once, measure_quantity, thin
from beliefmatch.runs.schema.plan import PrunedLayer, PruningPlan
from networks_to_prune import SHAPES, make, spec_of


def applied(network: nn.Module, layers: tuple[PrunedLayer, ...]) -> nn.Module:
    made = copy.deepcopy(network)
    apply_plan(made, PruningPlan(num_outputs=10, dropped=(), layers=layers))
    return made


def thinned(name: str, quantity: Counted = "macs", fraction: float = 0.5) -> tuple[nn.Module, nn.Module, Any]:
    network = make(name)
    layers = thin(network, spec_of(name), quantity=quantity, fraction=fraction)
    return network, applied(network, layers), layers


@pytest.mark.parametrize(("quantity", "fraction"), [("macs", 0.7), ("macs", 0.5), ("parameters", 0.4)])
@pytest.mark.parametrize("name", SHAPES)
def test_the_part_is_met_within_what_one_step_takes(name: str, quantity: Counted, fraction: float) -> None:
    network, smaller, _ = thinned(name, quantity, fraction)
    whole, left = (measure_quantity(each, spec_of(name), quantity) for each in (network, smaller))
    assert fraction - 0.06 < left / whole <= fraction


@pytest.mark.parametrize("name", SHAPES)
def test_a_thinned_network_computes_what_the_network_does_when_it_ignores_the_rest(name: str) -> None:
    network, smaller, layers = thinned(name)
    if name == "own":
        layers = [layer for layer in layers if layer.name not in ("hidden", "norm", "head")]
        smaller = applied(network, tuple(layers))
    for layer in layers:
        if layer.inputs is not None:
            weight: Any = network.get_submodule(layer.name).weight
            gone = [number for number in range(weight.shape[1]) if number not in layer.inputs]
            weight.data[:, gone] = 0
    inputs = torch.randn(4, *SHAPES[name])
    with torch.no_grad():
        torch.testing.assert_close(smaller(inputs), network(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_kept_channels_have_the_networks_weights_and_statistics(name: str) -> None:
    network, smaller, layers = thinned(name)
    given, kept = network.state_dict(), smaller.state_dict()
    by_name = {layer.name: layer for layer in layers}
    for key, tensor in given.items():
        layer = by_name.get(key.rpartition(".")[0])
        expected: Tensor = tensor
        if layer and layer.outputs is not None and tensor.dim() > 0:
            expected = expected[list(layer.outputs)]
        if layer and layer.inputs is not None and tensor.dim() > 1:
            expected = expected[:, list(layer.inputs)]
        assert torch.equal(kept[key], expected), key


@pytest.mark.parametrize("name", SHAPES)
def test_attributes_of_layers_say_their_new_sizes(name: str) -> None:
    _, smaller, layers = thinned(name)
    for layer in layers:
        module = smaller.get_submodule(layer.name)
        sizes = layer_sizes(module)
        assert sizes is not None
        assert sizes.outputs == len(next(iter(module.parameters())))
        assert layer.outputs is None or sizes.outputs == len(layer.outputs)
        assert layer.inputs is None or sizes.inputs == len(layer.inputs)
        assert not isinstance(module, nn.Conv2d) or module.groups in (1, module.out_channels)


def test_inputs_and_outputs_of_the_network_stay() -> None:
    _, _, layers = thinned("lenet_5")
    by_name = {layer.name: layer for layer in layers}
    assert by_name["conv1"].inputs is None
    assert by_name["fc2"].outputs is None


def test_what_is_left_is_a_multiple_of_four_or_eight() -> None:
    assert [channels_at_once(size) for size in (6, 15, 16, 63, 64)] == [1, 1, 4, 4, 8]
    _, _, layers = thinned("lenet_5", fraction=0.3)
    by_name = {layer.name: layer.outputs for layer in layers}
    assert all(len(by_name[name] or ()) % size == 0 for name, size in (("conv2", 4), ("conv3", 8), ("fc1", 8)))


def test_the_least_important_channels_go_first() -> None:
    first, second = nn.Linear(6, 8, bias=False), nn.Linear(8, 3, bias=False)
    network = nn.Sequential(first, nn.ReLU(), second).eval()
    nn.init.ones_(first.weight)
    nn.init.ones_(second.weight)
    with torch.no_grad():
        first.weight[[1, 6]] = 0.1
        second.weight[:, 4] = 0.1
    layers = thin(network, InputSpec(shape=(6,)), quantity="parameters", fraction=5 / 8)
    assert layers[0].outputs == (0, 2, 3, 5, 7)
    assert layers[1].inputs == (0, 2, 3, 5, 7)


def test_a_part_of_1_keeps_everything() -> None:
    assert thin(make("own"), spec_of("own"), quantity="macs", fraction=1.0) == ()


def test_the_network_stays_as_it_is() -> None:
    network = make("wide_resnet_16_1").requires_grad_(requires_grad=False)
    before = copy.deepcopy(network.state_dict())
    thin(network, spec_of("wide_resnet_16_1"), quantity="macs", fraction=0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_every_call_gives_the_same() -> None:
    assert thinned("cifar_resnet_20_b")[2] == thinned("cifar_resnet_20_b")[2]


def test_channels_that_a_padding_joins_to_others_are_left_whole() -> None:
    """Shortcuts of option A add a number of channels that is fixed: only channels within blocks can go."""
    groups = find_groups(make("cifar_resnet_20"), spec_of("cifar_resnet_20"))
    assert {group.name for group in groups} == {f"layer{s}.{b}.conv1" for s in (1, 2, 3) for b in (0, 1, 2)}


def test_channels_whose_number_the_code_knows_are_left_whole() -> None:
    groups = find_groups(make("own"), spec_of("own"))
    assert [group.name for group in groups] == ["first", "second", "joined", "hidden"]


class Shuffled(nn.Module):
    """Reads channels in another order than it computes them, by an index that the graph does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        return self.head(x[:, torch.arange(x.shape[1] - 1, -1, -1)])


def test_channels_that_the_graph_maps_wrongly_are_left_whole() -> None:
    torch.manual_seed(0)
    with pytest.raises(NetworkError, match=r"nothing in Shuffled can be pruned: .* computes something else"):
        find_groups(Shuffled().eval(), InputSpec(shape=(6,)))


def test_a_network_of_a_single_layer_has_nothing_to_prune() -> None:
    with pytest.raises(
        NetworkError, match=r"nothing in Sequential can be pruned: 1 groups? .*; a student that you name"
    ):
        find_groups(nn.Sequential(nn.Linear(6, 3)).eval(), InputSpec(shape=(6,)))


def test_so_little_cannot_be_kept() -> None:
    with pytest.raises(NetworkError, match=r"at least 0\.\d+ of the MACs of MLP are left .* thin:macs=0.001"):
        thinned("mlp_64_48", fraction=0.001)


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x)).detach()


def traced() -> nn.Module:
    program = torch.jit.trace(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)), torch.zeros(1, 6))
    assert isinstance(program, nn.Module)
    return program


@pytest.mark.parametrize(
    ("network", "named"), [(Detached, "Torch-Pruning cannot trace Detached"), (traced, "a ScriptModule")]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_that_cannot_be_traced_is_one_line(network: Callable[[], nn.Module], named: str) -> None:
    with pytest.raises(NetworkError, match=named) as caught:
        find_groups(network().eval(), InputSpec(shape=(6,)))
    assert "\n" not in str(caught.value)
    assert "a student that you name" in str(caught.value)


@pytest.fixture
def latencies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine whose time is the number of parameters, and a tenth of the network's for the call."""
    asked: list[int] = []

    def measure_latency(networks: Sequence[nn.Module], spec: InputSpec, *, num_timed: int) -> list[float]:
        assert num_timed > 1
        whole, smaller = (measure_quantity(each, spec, "parameters") for each in networks)
        asked.append(smaller)
        return [1.0, 0.1 + 0.9 * smaller / whole]

    monkeypatch.setattr(thinning, "measure_latency", measure_latency)
    return asked


def test_a_part_of_the_latency_is_met_as_it_is_measured(latencies: list[int]) -> None:
    network, spec = make("lenet_5_bn"), spec_of("lenet_5_bn")
    smaller = applied(network, thin(network, spec, quantity="latency", fraction=0.5))
    whole, left = (measure_quantity(each, spec, "parameters") for each in (network, smaller))
    assert 0.38 < 0.1 + 0.9 * left / whole <= 0.5
    assert left in latencies


@pytest.mark.usefixtures("latencies")
def test_a_latency_that_cannot_be_reached_is_one_line() -> None:
    network = make("lenet_5_bn")
    message = r"at least 0\.1\d+ of the latency, measured here, of .* so thin:latency=0\.1 cannot be reached"
    with pytest.raises(NetworkError, match=message):
        thin(network, spec_of("lenet_5_bn"), quantity="latency", fraction=0.1)


def test_a_latency_that_was_measured_too_short_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until something is measured a second time, all seem shorter than they are."""
    network, spec = make("lenet_5_bn"), spec_of("lenet_5_bn")
    seen: Counter[int] = Counter()

    def measure_latency(networks: Sequence[nn.Module], spec: InputSpec, *, num_timed: int) -> list[float]:
        assert num_timed > 1
        whole, smaller = (measure_quantity(each, spec, "parameters") for each in networks)
        seen[smaller] += 1
        return [1.0, smaller / whole * (0.6 if max(seen.values()) <= NUM_REPEATS else 1)]

    monkeypatch.setattr(thinning, "measure_latency", measure_latency)
    smaller = applied(network, thin(network, spec, quantity="latency", fraction=0.5))
    whole, left = (measure_quantity(each, spec, "parameters") for each in (network, smaller))
    assert 0.4 < left / whole <= 0.5
