"""The layer that gives the logits, and its precision."""

import copy

import pytest
import torch
from torch import nn

from beliefmatch.networks.heads import compute_in_32_bits, find_head, undo_32_bits
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.recording import record_noise

SPEC = InputSpec(shape=(1, 8, 8))


def head_of(network: nn.Module, spec: InputSpec = SPEC) -> str | None:
    return find_head(record_noise(network, spec, role="teacher")[0])


@pytest.mark.parametrize(
    ("name", "head", "shape"),
    [("wide_resnet_16_1", "fc", (1, 32, 32)), ("convnet_8", "fc", (1, 8, 8)), ("lenet_5", "fc2", (1, 28, 28))],
)
def test_the_head_of_our_networks_is_found(name: str, head: str, shape: tuple[int, ...]) -> None:
    network = make_network(name, in_channels=1, num_classes=10)
    assert head_of(network, InputSpec(shape=shape)) == head


def test_a_convolution_can_be_a_head_and_a_scaled_layer_is_none() -> None:
    flat = nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten())
    assert head_of(flat) == "0"
    assert head_of(nn.Linear(8, 3), InputSpec(shape=(8,))) == ""
    assert head_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softplus())) is None


def test_logits_have_32_bits_under_autocast_and_stay_what_they_were_without() -> None:
    torch.manual_seed(0)
    plain = make_network("convnet_8", in_channels=1, num_classes=10)
    precise = copy.deepcopy(plain)
    compute_in_32_bits(precise, head_of(precise))
    compute_in_32_bits(precise, head_of(precise))
    batch = torch.randn(4, 1, 8, 8)
    assert torch.equal(plain(batch), precise(batch))
    assert precise.state_dict().keys() == plain.state_dict().keys()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert plain(batch).dtype == torch.bfloat16
        found = precise(batch)
    assert found.dtype == torch.float32
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in precise.parameters())
    again = copy.deepcopy(precise)
    with torch.no_grad():
        again.get_submodule("fc").get_parameter("bias").add_(1)
    assert torch.allclose(again(batch), precise(batch) + 1, atol=1e-6)


def test_a_forward_pass_in_32_bits_is_undone_and_others_stay() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    given = network[0].forward = lambda input: torch.zeros(len(input), 4)  # noqa: A006
    compute_in_32_bits(network, "0")
    compute_in_32_bits(network, "1")
    assert "forward" in vars(network[1])
    undo_32_bits(network)
    assert network[0].forward is given
    assert not any("forward" in vars(module) for module in (network, network[1]))
