"""The built-in network for signals."""

import pytest
import torch

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.network import make_network


@pytest.mark.parametrize("length", [1, 2, 64, 101])
def test_signals_of_any_length_make_logits(length: int) -> None:
    network = make_network("fcn_4", in_channels=2, num_classes=3)
    assert network(torch.randn(5, 2, length)).shape == (5, 3)


def test_its_second_block_is_twice_as_wide() -> None:
    network = make_network("fcn_128", in_channels=1, num_classes=2)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv1d)]
    assert [module.out_channels for module in convolutions] == [128, 256, 128]


@pytest.mark.parametrize("name", ["fcn", "fcn_0", "fcn_8_8"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NetworkError, match="no architecture is called"):
        make_network(name, in_channels=2, num_classes=3)
