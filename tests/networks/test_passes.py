"""Networks that change their inputs in place change nobody else's."""

import io
from collections.abc import Callable

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from beliefmatch.export.base import FormatName
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.measurement import TransitionPlan, measure_pair
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.passes import changes_inputs, run_network
from beliefmatch.networks.taps import outputs_of
from odd_networks import make_inplace

INPUTS = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Changing(nn.Module):
    """A linear classifier that first changes its inputs."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.change, self.fc = change, nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        self.change(x)
        return self.fc(x.flatten(1))


class Noting(nn.Module):
    """Notes where in memory its inputs lie."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.places: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.places.append(x.data_ptr())
        return self.fc(x.flatten(1))


CHANGING: dict[str, Callable[[], nn.Module]] = {
    "subtraction": lambda: Changing(lambda x: x.sub_(0.5)),
    "uncounted": lambda: Changing(lambda x: x.data.sub_(0.5)),
    "relu": make_inplace,
}


@pytest.mark.parametrize("make", CHANGING.values(), ids=CHANGING)
def test_a_network_agrees_with_itself(make: Callable[[], nn.Module]) -> None:
    network, stored = make(), INPUTS.clone()
    labels = network(stored.clone()).argmax(dim=1)
    plan = TransitionPlan(num_images=3, num_steps=3)
    found = measure_pair(network, network, DIGITS, stored, labels, batch_size=20, transition=plan)
    assert torch.equal(stored, INPUTS)
    assert (found.agreement.value, found.divergence.value, found.teacher_accuracy) == (1, 0, 1)
    assert found.transition is not None
    assert found.transition.error == 0


@pytest.mark.parametrize("kind", ["subtraction", "relu"])
@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_files_leave_their_inputs_alone(kind: str, to: FormatName) -> None:
    graph, inputs = DeployedGraph(CHANGING[kind](), DIGITS, None), INPUTS.clone()
    expected = graph.network(INPUTS.clone())
    content = FORMATS[to].write(graph, DIGITS)
    if to == "onnx":
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        found = torch.from_numpy(session.run(["logits"], {"inputs": inputs.numpy()})[0])
    else:
        found = torch.export.load(io.BytesIO(content)).module()(inputs)
    assert torch.equal(inputs, INPUTS)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_change_of_what_stays_as_it_was_is_seen() -> None:
    network, positive = make_inplace(), INPUTS.abs()
    run_network(network, positive)
    run_network(network, inputs := INPUTS.clone())
    assert torch.equal(inputs, INPUTS)
    assert changes_inputs(network, positive)


def test_train_and_eval_mode_are_seen_apart() -> None:
    network = nn.Sequential(nn.Dropout(0.5, inplace=True), nn.Flatten(), nn.Linear(64, 10))
    inputs = INPUTS.clone()
    for training in (False, True, True):
        outputs_of(network.train(training), inputs)
    assert torch.equal(inputs, INPUTS)
    assert changes_inputs(network, inputs)
    assert not changes_inputs(network.eval(), inputs)


def test_a_network_that_leaves_its_inputs_alone_gets_no_copy() -> None:
    network = Noting()
    for _ in range(3):
        run_network(network, INPUTS)
    assert [place == INPUTS.data_ptr() for place in network.places] == [False, True, True]
