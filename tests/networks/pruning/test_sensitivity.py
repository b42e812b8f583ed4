"""What a network loses with each part of it."""

import copy

import pytest
import torch
from torch import nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning.sensitivity import FRACTIONS, NUM_COMPARED, measure_sensitivity
from networks_to_prune import Residual, make, spec_of


def test_channels_that_nothing_reads_cost_no_agreement_and_others_do() -> None:
    torch.manual_seed(0)
    begin, middle = nn.Linear(6, 16), nn.Linear(16, 16)
    network = nn.Sequential(begin, nn.ReLU(), middle, nn.ReLU(), nn.Linear(16, 5)).eval()
    with torch.no_grad():
        middle.weight[:, :12] = 0
        begin.weight[:12] *= 1e-3
    first, second = measure_sensitivity(network, InputSpec(shape=(6,))).groups
    assert (first.name, first.channels, second.name) == ("0", 16, "2")
    assert first.agreements == (1.0, 1.0, 1.0)
    assert second.agreements[-1] < 1
    whole = 6 * 16 + 16 * 16 + 16 * 5
    assert first.macs_fraction == pytest.approx((6 * 8 + 8 * 16) / whole)
    assert second.macs_fraction == pytest.approx((8 * 16 + 8 * 5) / whole)
    assert len(FRACTIONS) == len(first.agreements)
    assert all((NUM_COMPARED * each).is_integer() for each in second.agreements)


def test_blocks_are_left_out_one_at_a_time() -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 1), Residual(8, 0.0), Residual(8, 30.0), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(*layers, nn.Linear(8, 10)).eval()
    idle, strong = measure_sensitivity(network, InputSpec(shape=(3, 8, 8))).blocks
    assert (idle.name, idle.agreement, strong.name) == ("1", 1.0, "2")
    assert strong.agreement < 1
    assert idle.macs_fraction == strong.macs_fraction == pytest.approx(0.47, abs=0.05)


def test_the_network_stays_as_it_is() -> None:
    network = make("lenet_5_bn")
    before = copy.deepcopy(network.state_dict())
    assert not measure_sensitivity(network, spec_of("lenet_5_bn")).blocks
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
