"""Networks whose outputs depend on chance, or on the rest of their batch, are named when they are measured."""

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from tiny import make_conv_teacher, make_plain_conv

SPEC = InputSpec(shape=(1, 8, 8))


class Dropping(nn.Module):
    """Forgets to tell its dropout of eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(x.flatten(1), 0.5))


class Deriving(nn.Module):
    """Computes a gradient within its pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.conv(y).square().sum(), y)
        return self.head(slope.flatten(1))


def without_statistics() -> nn.Module:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


@pytest.mark.parametrize(
    ("network", "role", "message"),
    [
        (Dropping(), "teacher", "the teacher gives other outputs each time that it runs"),
        (
            without_statistics(),
            "student",
            "the outputs of the student for an example depend on the others in its batch",
        ),
    ],
)
def test_what_cannot_be_repeated_is_named(
    network: nn.Module, role: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    pair = [network, make_plain_conv()] if role == "teacher" else [make_plain_conv(), network]
    before = torch.get_rng_state()
    with caplog.at_level("WARNING"):
        measure_networks(pair[0], pair[1], SPEC, torch.rand(20, 1, 8, 8, generator=torch.Generator()))
    assert [message in record.getMessage() for record in caplog.records] == [True]
    assert role == "teacher" or torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("network", [make_conv_teacher(), make_plain_conv(), Deriving()])
def test_others_are_not(network: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        found = measure_networks(network, make_plain_conv(), SPEC, torch.rand(20, 1, 8, 8))
    assert not caplog.records
    assert found.num_images == 20


def test_a_network_that_computes_gradients_in_its_pass_is_counted() -> None:
    """Two passes of the convolution, one of them backwards, and the linear layer."""
    assert measure_cost(Deriving(), SPEC).macs == 2 * 4 * 9 * 36 + 64 * 10
