"""Pairs of activations that attention transfer finds by itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu_

from beliefmatch.networks import pairs as module
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.networks.pairs import FeatureMaps
from beliefmatch.networks.recording import record_noise
from beliefmatch.networks.taps import TapPair, outputs_of


def last_feature_maps(network: nn.Module, spec: InputSpec) -> FeatureMaps:
    return module.last_feature_maps(record_noise(network, spec, role="teacher")[0])


def choose_pairs(teacher: nn.Module, student: nn.Module, spec: InputSpec) -> tuple[TapPair, ...]:
    first, second = (last_feature_maps(network, spec) for network in (teacher, student))
    return module.choose_pairs(teacher, student, teacher_maps=first, student_maps=second)


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


class Tokens(nn.Module):
    """Patches of 8x8 as tokens, in a sequence or on their grid, after a stem that halves the resolution if wanted."""

    def __init__(self, width: int = 16, *, stem: bool = False, grid: bool = False, class_token: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1), nn.ReLU(), nn.Upsample(scale_factor=2)) if stem else None
        self.embedding = nn.Conv2d(3, width, 8, 8)
        self.grid, self.class_token = grid, class_token
        self.block = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embedding(x if self.stem is None else self.stem(x)).permute(0, 2, 3, 1)
        if not self.grid:
            tokens = tokens.flatten(1, 2)
        if self.class_token:
            tokens = torch.cat([tokens[:, :1], tokens], dim=1)
        tokens = self.block(tokens)
        return self.head(tokens.flatten(1, -2).mean(dim=1))


class SignalTokens(nn.Module):
    """The same for signals."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Conv1d(2, 6, 4, 4), nn.Linear(6, 3)
        self.layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embedding(x).transpose(1, 2)).mean(dim=1))


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
    read = outputs_of(pyramid(4, 8, 8, 16), torch.randn(2, 3, 32, 32), outputs=names)
    assert [read.activations[name].shape[2] for name in names] == [32, 16, 8, 4]


def test_maps_that_are_changed_in_place_are_passed_over() -> None:
    assert last_feature_maps(ChangesInPlace(), CIFAR10) == {(32, 32): "stem"}


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
    layers = (nn.Conv1d(2, 20, 3, padding=1), nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    network = nn.Sequential(*layers, nn.Linear(20, 10))
    pairs = choose_pairs(network, network, InputSpec(shape=(2, 16)))
    assert pairs == (TapPair(teacher="0", student="0"), TapPair(teacher="1", student="1"))


@pytest.mark.parametrize("settings", [{}, {"grid": True}, {"class_token": True}, {"width": 32}])
def test_patches_that_become_tokens_are_no_feature_map(settings: dict[str, Any]) -> None:
    network = Tokens(**settings)
    assert last_feature_maps(network, CIFAR10) == {}
    assert choose_pairs(network, network, CIFAR10) == ()
    assert choose_pairs(network, pyramid(4, 8, 8, 16), CIFAR10) == ()


def test_maps_before_the_patches_count() -> None:
    found = last_feature_maps(Tokens(stem=True), CIFAR10)
    assert found == {(16, 16): "stem.1", (32, 32): "stem"}


def test_tokens_of_signals_are_no_feature_map() -> None:
    network = SignalTokens()
    assert choose_pairs(network, network, InputSpec(shape=(2, 32))) == ()


def test_a_map_that_is_flattened_for_its_mean_stays_one() -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 8, 8), nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    assert last_feature_maps(network, CIFAR10) == {(4, 4): "0"}


@pytest.mark.parametrize(
    ("name", "settings", "num_maps"),
    [
        ("test_vit", {"img_size": 32, "patch_size": 8}, 0),
        ("test_vit", {"img_size": 64, "patch_size": 8}, 0),
        ("swin_tiny_patch4_window7_224", {"img_size": 32, "window_size": 4, "depths": (1, 1, 1, 1)}, 0),
        ("test_convnext", {}, 4),
        ("test_resnet", {}, 5),
        ("mobilevit_xxs", {}, 5),
    ],
)
def test_networks_of_timm_have_the_maps_that_their_convolutions_give(
    name: str, settings: dict[str, Any], num_maps: int
) -> None:
    timm = pytest.importorskip("timm")
    size = settings.get("img_size", 64)
    found = last_feature_maps(timm.create_model(name, **settings), InputSpec(shape=(3, size, size)))
    assert len(found) == num_maps
    assert all(height == width for height, width in found)


DOCUMENTED = Path(__file__).parents[2] / "docs" / "models.md"


def groups_in_the_docs() -> dict[str, list[str]]:
    """Read the table of networks and their groups."""
    table = DOCUMENTED.read_text().partition("| groups, by falling resolution |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, flags=re.MULTILINE)
    return {name: re.findall(r"`([^`]+)`", groups) for name, groups in rows}


def test_ten_families_are_documented() -> None:
    assert len(groups_in_the_docs()) >= 10
    assert groups_in_the_docs()["timm:resnet50"] == ["act1", "layer1", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize(("name", "groups"), groups_in_the_docs().items(), ids=groups_in_the_docs())
def test_groups_are_the_documented_ones(name: str, groups: list[str]) -> None:
    pytest.importorskip("torchvision" if name.startswith("torchvision") else "timm")
    network = make_network(name, in_channels=3, num_classes=10)
    found = last_feature_maps(network, InputSpec(shape=(3, 64, 64)))
    assert [found[size] for size in sorted(found, reverse=True)] == groups
