"""The layer that gives the logits, and its precision."""

import copy

import pytest
import torch
from torch import nn

from beliefmatch.networks.heads import find_head, keep_logits_precise
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network

SPEC = InputSpec(shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("name", "head", "shape"),
    [("wide_resnet_16_1", "fc", (1, 32, 32)), ("convnet_8", "fc", (1, 8, 8)), ("lenet_5", "fc2", (1, 28, 28))],
)
def test_the_head_of_our_networks_is_found(name: str, head: str, shape: tuple[int, ...]) -> None:
    network = make_network(name, in_channels=1, num_classes=10)
    assert find_head(network, InputSpec(shape=shape)) is network.get_submodule(head)


def test_a_convolution_can_be_a_head_and_a_scaled_layer_is_none() -> None:
    flat = nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten())
    assert find_head(flat, SPEC) is flat[0]
    assert find_head(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softplus()), SPEC) is None


def test_logits_have_32_bits_under_autocast_and_stay_what_they_were_without() -> None:
    torch.manual_seed(0)
    plain = make_network("convnet_8", in_channels=1, num_classes=10)
    precise = copy.deepcopy(plain)
    keep_logits_precise(precise, SPEC)
    keep_logits_precise(precise, SPEC)
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
