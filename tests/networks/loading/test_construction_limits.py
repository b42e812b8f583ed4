"""Names and configurations that ask for networks without end are refused before their memory is taken."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.memory import UNIT
from beliefmatch.networks.loading import construction_limits
from beliefmatch.networks.loading.construction_limits import MAX_MODULES, limited_construction
from beliefmatch.networks.loading.network import Network, make_network

MANY_MODULES = "is too large: a network may have"
TOO_LARGE = "would take about .* of memory"
MAX_OF_A_NUMBER = "numbers in a name are at most 1,000,000"
RESNET = {"model_type": "resnet", "embedding_size": 4, "hidden_sizes": [4], "depths": [1], "num_channels": 1}
VIT = {"model_type": "vit", "hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8, "image_size": 32}


@pytest.fixture
def half_a_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which so much is free."""
    monkeypatch.setattr(construction_limits, "free_memory", lambda: UNIT // 2)


@pytest.mark.usefixtures("half_a_gibibyte")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("timm:resnet18?layers=(100000,1,1,1)", MANY_MODULES),
        ("timm:vit_tiny_patch16_224?depth=100000&embed_dim=3&num_heads=1", MANY_MODULES),
        ("timm:vit_tiny_patch16_224?embed_dim=6000", TOO_LARGE),
        ("timm:resnet18?num_classes=1000000", TOO_LARGE),
        ("torchvision:mobilenet_v2?inverted_residual_setting=[[1,16,100000,1]]", MANY_MODULES),
        ("torchvision:resnet50?width_per_group=4000", TOO_LARGE),
        ("timm:resnet18?layers=(1000001,1,1,1)", MAX_OF_A_NUMBER),
        ("timm:vit_tiny_patch16_224?depth=-1e300", MAX_OF_A_NUMBER),
        ("torchvision:resnet18?a={'b':[{2:10000000}]}", MAX_OF_A_NUMBER),
    ],
)
def test_a_name_that_asks_for_too_much_is_refused(name: str, why: str) -> None:
    with pytest.raises(NetworkError, match=why) as caught:
        make_network(name, in_channels=3, num_classes=4)
    assert str(caught.value).count("NetworkError") == 0


@pytest.mark.usefixtures("half_a_gibibyte")
@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        (RESNET | {"depths": [10**7]}, MANY_MODULES),
        (VIT | {"num_hidden_layers": 10**7}, MANY_MODULES),
        (VIT | {"hidden_size": 12_000}, TOO_LARGE),
        (RESNET | {"num_labels": 10**10}, "asks for more than 1,000,000 classes"),
        (RESNET | {"sub": [{"num_labels": 1e12}]}, "asks for more than 1,000,000 classes"),
    ],
)
def test_a_configuration_that_asks_for_too_much_is_refused(
    configuration: dict[str, object], why: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(configuration))
    with pytest.raises(NetworkError, match=why):
        make_network(f"hf:{tmp_path}", in_channels=1, num_classes=4)


def test_classes_that_are_too_many_are_no_table_of_labels(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RESNET))
    with pytest.raises(NetworkError, match="asks for more than 1,000,000 classes"):
        make_network(f"hf:{tmp_path}", in_channels=1, num_classes=10**10)
    with pytest.raises(NetworkError, match=MAX_OF_A_NUMBER):
        make_network(f"hf:{tmp_path}?num_labels=10000000000", in_channels=1, num_classes=4)


@pytest.mark.parametrize("value", ["-" * 4000 + "1", "(" * 4000, "[" * 500 + "]" * 500, "-" * 999 + "1"])
@pytest.mark.parametrize("prefix", ["timm:resnet18", "torchvision:resnet18"])
def test_an_argument_that_is_nested_too_deep_is_text(prefix: str, value: str) -> None:
    network = Network(architecture=f"{prefix}?layers={value}", weights=Path("w.pt"))
    with pytest.raises(NetworkError, match="cannot be made"):
        make_network(network.architecture, in_channels=3, num_classes=4)


def nested() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 2)))


@pytest.mark.parametrize("make", [nested, lambda: nn.ModuleList(nn.ReLU() for _ in range(MAX_MODULES))])
def test_what_is_small_enough_is_built(make: Callable[[], nn.Module]) -> None:
    with limited_construction("small"):
        make()


def test_a_parameter_that_is_replaced_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(construction_limits, "free_memory", lambda: 4 * 100)
    with limited_construction("small"):
        layer = nn.Linear(10, 10, bias=False)
        for _ in range(3):
            layer.weight = nn.Parameter(layer.weight.detach().clone())
        with pytest.raises(NetworkError, match=TOO_LARGE):
            layer.bias = nn.Parameter(layer.weight[0].detach())


def test_nothing_is_limited_afterwards() -> None:
    with pytest.raises(NetworkError, match=MANY_MODULES), limited_construction("large"):
        nn.ModuleList(nn.ReLU() for _ in range(MAX_MODULES + 1))
    nn.ModuleList(nn.ReLU() for _ in range(MAX_MODULES + 1))
