"""The generators against the plain layers that they stand for."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from beliefmatch.models.cost import measure_cost
from beliefmatch.models.generators import ImageGenerator
from beliefmatch.models.inputs import InputSpec


def plain_generator(noise_size: int, shape: tuple[int, int, int]) -> nn.Sequential:
    """The generator as the released code has it: upsample, then convolve."""
    channels, height, width = shape
    half, quarter = (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))
    return nn.Sequential(
        nn.Linear(noise_size, 128 * quarter[0] * quarter[1]),
        nn.Unflatten(1, (128, *quarter)),
        nn.BatchNorm2d(128),
        nn.Upsample(size=half),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Upsample(size=(height, width)),
        nn.Conv2d(128, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
    )


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 8, 12), (1, 10, 7), (3, 5, 5)])
def test_inputs_and_gradients_equal_those_of_upsampling_first(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    fast, slow = ImageGenerator(7, shape).double(), plain_generator(7, shape).double()
    slow.load_state_dict(fast.layers.state_dict())
    noise = torch.randn(4, 7, dtype=torch.float64)
    outputs = fast(noise), slow(noise)
    assert_close(*outputs, rtol=1e-10, atol=1e-10)
    push = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(push)
    for ours, theirs in zip(fast.parameters(), slow.parameters(), strict=True):
        assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


def test_the_papers_generator_takes_less_than_half_the_work() -> None:
    spec = InputSpec(shape=(100,))
    fast, slow = (measure_cost(make(100, (3, 32, 32)), spec) for make in (ImageGenerator, plain_generator))
    assert fast.parameters == slow.parameters == 1_051_145
    assert slow.macs / 1e6 == pytest.approx(115.8, abs=0.05)
    assert fast.macs / 1e6 == pytest.approx(52.9, abs=0.05)
