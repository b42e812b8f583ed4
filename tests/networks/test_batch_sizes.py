"""Batches of any size: networks that squeeze or refuse a single example are served, those of one size are named."""

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.export.check import check_file
from beliefmatch.export.fresh_process import FreshProcess
from beliefmatch.measurement import TransitionPlan, measure_pair
from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.examples import Inputs
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.passes import run_padded
from labelled import measure_accuracy

INPUTS = torch.randn(101, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Linear(nn.Module):
    """Treats batches of some sizes in its own way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv, self.fc = way, nn.Conv2d(1, 16, 8), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        match self.way:
            case "squeezing":
                return self.fc(x.squeeze())
            case "several":
                assert len(x) > 1, "several, please"
            case "seven":
                return self.fc(x.view(7, 16))
            case "sixteen":
                return self.fc(x.view(16, 16))
        return self.fc(x.flatten(1))


@pytest.mark.parametrize("way", ["squeezing", "several"])
@pytest.mark.parametrize("measure", [measure_pair, measure_networks])
def test_a_last_batch_of_one_is_measured_like_the_others(way: str, measure: object) -> None:
    network = Linear(way)
    labels = network(INPUTS).argmax(dim=1)
    plan = TransitionPlan(num_images=1, num_steps=2, memory_budget=1)
    found = (measure_pair if measure is measure_pair else measure_networks)(
        network, network, DIGITS, INPUTS, labels, batch_size=100, transition=plan
    )
    assert (found.num_images, found.teacher_accuracy, found.agreement.value) == (101, 1, 1)
    assert measure_accuracy(network, DIGITS, INPUTS, labels, batch_size=100) == 1
    assert found.transition is not None
    assert found.transition.guide.shape == (1, 4, 2)


@pytest.mark.parametrize("way", ["squeezing", "several"])
def test_the_cost_is_that_of_one_example(way: str) -> None:
    assert inspect(Linear(way), DIGITS, role="teacher").macs == 16 * 64 + 16 * 5


@pytest.mark.parametrize(("way", "size"), [("seven", 7), ("sixteen", 16)])
def test_a_network_of_one_batch_size_is_named(way: str, size: int) -> None:
    with pytest.raises(NetworkError, match=rf"the teacher takes batches of {size} examples.* x\.view\({size}, -1\)"):
        inspect(Linear(way), DIGITS, role="teacher")


def test_a_file_is_compared_on_a_single_example_too() -> None:
    network = Linear("squeezing").eval()

    class File(FreshProcess):
        def __init__(self) -> None: ...

        def predict(self, inputs: Tensor) -> Tensor:
            return run_padded(network, inputs).detach()

    assert check_file(File(), network, DIGITS, None, Inputs(inputs=INPUTS)).num_examples == 101
