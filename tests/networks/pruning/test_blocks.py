"""Shallow networks: the blocks that matter least are left out."""

import copy

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning.blocks import drop_blocks, find_blocks, without_blocks
from beliefmatch.networks.pruning.thinning import measure_quantity
from networks_to_prune import Residual, make, spec_of

IMAGES = InputSpec(shape=(3, 8, 8))


def residual(*strengths: float) -> nn.Module:
    torch.manual_seed(0)
    blocks = (Residual(8, strength) for strength in strengths)
    return nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Sequential(*blocks), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    ).eval()


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("cifar_resnet_20", ["layer1.0", "layer1.1", "layer1.2", "layer2.1", "layer2.2", "layer3.1", "layer3.2"]),
        ("wide_resnet_16_1", ["group1.0", "group1.1", "group2.1", "group3.1"]),
        ("lenet_5", []),
        ("own", []),
    ],
)
def test_blocks_whose_shape_stays_are_found(name: str, blocks: list[str]) -> None:
    network = make(name)
    before = copy.deepcopy(network.state_dict())
    assert find_blocks(network, spec_of(name)) == blocks
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_layers_of_one_shape_that_are_no_residual_block_stay() -> None:
    plain = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
    network = nn.Sequential(nn.Conv2d(3, 8, 1), plain, Residual(8, 1.0), nn.Flatten(), nn.Linear(512, 3))
    assert find_blocks(network, IMAGES) == ["2"]


def test_a_block_that_is_used_twice_stays() -> None:
    shared = Residual(8, 1.0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), shared, shared, nn.Flatten(), nn.Linear(512, 3))
    assert find_blocks(network, IMAGES) == []


def test_the_blocks_that_matter_least_are_dropped() -> None:
    network = residual(1.0, 1e-4, 1.0, 1e-3, 1.0, 1.0)
    assert set(drop_blocks(network, IMAGES, fraction=0.7)) == {"1.1", "1.3"}
    assert drop_blocks(network, IMAGES, fraction=0.85) == ("1.1",)


def test_at_most_the_part_is_left_and_no_block_too_many() -> None:
    network = make("wide_resnet_16_1")
    spec = spec_of("wide_resnet_16_1")
    dropped = drop_blocks(network, spec, fraction=0.7)
    whole = measure_quantity(network, spec, "macs")
    left = [measure_quantity(without_blocks(network, names), spec, "macs") for names in (dropped, dropped[:-1])]
    assert left[0] / whole <= 0.7 < left[1] / whole


def test_a_part_of_1_keeps_everything() -> None:
    assert drop_blocks(residual(1.0), IMAGES, fraction=1.0) == ()


def test_a_network_without_residual_blocks_is_one_line() -> None:
    with pytest.raises(NetworkError, match=r"nothing in LeNet5 can be dropped: it has no residual block .* thin:0.5"):
        drop_blocks(make("lenet_5"), spec_of("lenet_5"), fraction=0.5)


def test_so_little_cannot_be_left() -> None:
    with pytest.raises(NetworkError, match=r"at least 0\.\d+ of the MACs of WideResNet are left without all 4 blocks"):
        drop_blocks(make("wide_resnet_16_1"), spec_of("wide_resnet_16_1"), fraction=0.1)


class InPlace(Residual):
    def forward(self, x: Tensor) -> Tensor:
        return x.add_(self.inner(x))


def test_a_block_that_changes_its_input_in_place_is_found() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), InPlace(8, 1.0), nn.Flatten(), nn.Linear(512, 3))
    assert find_blocks(network, IMAGES) == ["1"]
