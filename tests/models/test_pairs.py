"""Pairs of activations that attention transfer finds by itself."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu_

from beliefmatch.models.inputs import CIFAR10, InputSpec
from beliefmatch.models.pairs import choose_pairs, last_feature_maps
from beliefmatch.models.taps import TapPair, beliefs
from beliefmatch.models.zoo import make_network


def pyramid(*widths: int) -> nn.Sequential:
    """Halves the resolution after every width."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))


class ChangesInPlace(nn.Module):
    """Its convolution's output is not what it was by the time anyone looks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(relu_(self.body(self.stem(x))).mean(dim=(2, 3)))


def test_what_architectures_declare_goes_first() -> None:
    teacher, student = (make_network(f"wide_resnet_{size}", in_channels=3, num_classes=10) for size in ("16_2", "16_1"))
    names = [pair.teacher for pair in choose_pairs(teacher, student, CIFAR10)]
    assert names == ["group1", "group2", "group3"]


def test_the_last_map_of_each_resolution_that_both_reach_is_taken() -> None:
    pairs = choose_pairs(pyramid(4, 8, 8, 16), pyramid(4, 6, 6), CIFAR10)
    assert pairs == (
        TapPair(teacher="1", student="1"),
        TapPair(teacher="4", student="4"),
        TapPair(teacher="7", student="7"),
        TapPair(teacher="10", student="8"),
    )
    names = [pair.teacher for pair in pairs]
    read = beliefs(pyramid(4, 8, 8, 16), torch.randn(2, 3, 32, 32), outputs=names)
    assert [read.outputs[name].shape[2] for name in names] == [32, 16, 8, 4]


def test_maps_that_are_changed_in_place_are_passed_over() -> None:
    assert last_feature_maps(ChangesInPlace(), CIFAR10) == {torch.Size((32, 32)): "stem"}


@pytest.mark.parametrize(
    ("network", "spec"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), CIFAR10),
        (nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10)), InputSpec(shape=(12,))),
    ],
)
def test_networks_without_feature_maps_give_no_pairs(network: nn.Module, spec: InputSpec) -> None:
    assert choose_pairs(network, network, spec) == ()


def test_signals_are_paired_by_their_length() -> None:
    network = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(32, 10))
    pairs = choose_pairs(network, network, InputSpec(shape=(2, 16)))
    assert pairs == (TapPair(teacher="0", student="0"), TapPair(teacher="1", student="1"))
