"""The multi-layer perceptron."""

import pytest
import torch

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.network import make_network


@pytest.mark.parametrize(
    ("name", "parameters"), [("mlp_100_500", 52_303), ("mlp_7", 45), ("mlp_4_3_2", 12 + 15 + 8 + 9)]
)
def test_any_widths_make_logits(name: str, parameters: int) -> None:
    network = make_network(name, in_channels=2, num_classes=3)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(torch.zeros(5, 2)).shape == (5, 3)


def test_modules_are_named_flat() -> None:
    network = make_network("mlp_8_9", in_channels=4, num_classes=2)
    assert [name for name, _ in network.named_children()] == ["fc1", "act1", "fc2", "act2", "fc3"]


@pytest.mark.parametrize("name", ["mlp", "mlp_", "mlp_0", "mlp_8_", "mlp_8_x", "mpl_100_500"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NetworkError, match="nearest are mlp_100_500"):
        make_network(name, in_channels=2, num_classes=3)
