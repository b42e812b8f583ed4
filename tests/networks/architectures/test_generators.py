"""The generators against the plain layers that they stand for."""

import pytest
import torch
from torch.testing import assert_close

from beliefmatch.networks.architectures.generators import ImageGenerator
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from reference.plain_generator import plain_generator


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


def test_large_images_are_made() -> None:
    with torch.no_grad():
        assert ImageGenerator(7, (3, 224, 224))(torch.randn(1, 7)).shape == (1, 3, 224, 224)
