"""Whether gradients reach the inputs of a network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.gradients import check_gradient
from beliefmatch.networks.inputs import InputSpec

SPEC = InputSpec(shape=(6,))


class Before(nn.Module):
    """Does something to its inputs, then reads them by a linear layer."""

    def __init__(self, does: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.does, self.head = does, nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.does(x))


class After(Before):
    """Does something to its logits."""

    def forward(self, x: Tensor) -> Tensor:
        return self.does(self.head(x))


def check(network: nn.Module) -> None:
    check_gradient(network, SPEC, role="teacher", needed_by="the test follows")


@pytest.mark.parametrize(
    "network",
    [
        Before(torch.round),
        Before(Tensor.detach),
        Before(lambda x: torch.from_numpy(x.detach().numpy())),
        Before(lambda x: (x > 0).float()),
        After(lambda logits: nn.functional.one_hot(logits.argmax(dim=1), 3).float()),
        After(torch.zeros_like),
        Before(lambda x: torch.from_numpy(x.numpy())),
        Before(torch.no_grad()(lambda x: 2 * x)),
        Before(torch.inference_mode()(lambda x: 2 * x)),
    ],
)
def test_a_network_through_which_none_flows_is_told(network: nn.Module) -> None:
    with pytest.raises(NetworkError, match=r"^no gradient reaches the inputs of the teacher.*, which the test follows"):
        check(network)


def test_what_fails_with_a_gradient_alone_says_why() -> None:
    with pytest.raises(NetworkError, match=r"\(RuntimeError: Can't call numpy\(\) on Tensor that requires grad"):
        check(Before(lambda x: torch.from_numpy(x.numpy())))


@pytest.mark.parametrize(
    "network",
    [
        nn.Linear(6, 3),
        nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)),
        Before(lambda x: (x - 6).relu()),
        Before(lambda x: x.clamp(0, 0.05)),
        Before(lambda x: (20 * x).tanh()),
        Before(lambda x: x + x.round()),
        nn.Linear(6, 3).double(),
    ],
)
def test_dead_and_saturated_units_are_no_reason_to_refuse(network: nn.Module) -> None:
    check(network)


def test_nothing_moves() -> None:
    network = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 3)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    check(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(random, torch.get_rng_state())
