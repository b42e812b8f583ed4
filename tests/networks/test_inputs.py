"""Between pixels and network inputs."""

import pytest
import torch

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10


def test_pixels_survive_the_way_there_and_back() -> None:
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    back = CIFAR10.to_pixels(CIFAR10.from_pixels(pixels)) * 255
    torch.testing.assert_close(back.round().permute(0, 2, 3, 1).to(torch.uint8), pixels)


def test_inputs_are_normalised_channel_by_channel() -> None:
    spec = InputSpec(shape=(3, 1, 1), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    found = spec.from_pixels(torch.full((1, 1, 1, 3), 51, dtype=torch.uint8))
    torch.testing.assert_close(found.flatten(), torch.tensor([0.2, 0.0, -1.0]))


def test_images_of_another_size_are_resized() -> None:
    assert CIFAR10.from_pixels(torch.zeros(2, 28, 28, 3, dtype=torch.uint8)).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ()},
        {"shape": (3, 0, 2)},
        {"shape": (3, 2, 2), "mean": (0.1, 0.2)},
        {"shape": (1, 2, 2), "std": (0.0,)},
    ],
)
def test_a_wrong_spec_is_refused(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        InputSpec(**wrong)


@pytest.mark.parametrize("std", [0.0, -1.0, 1e-320, 1e-31])
def test_a_std_by_which_nothing_can_be_divided_is_refused(std: float) -> None:
    with pytest.raises(SettingsError, match="std must be above 0, and at least 1e-30"):
        InputSpec(shape=(1, 8, 8), mean=(0.5,), std=(std,))
