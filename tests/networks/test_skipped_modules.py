"""Modules that a pass in train mode can skip are found, however seldom it does, and are no taps."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import TapError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.skipped_modules import find_skipped
from beliefmatch.networks.taps import TapPair
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.training.prepare import resolve_taps
from tiny import make_plain_conv

SPEC = InputSpec(shape=(1, 8, 8))
SELDOM = 1e-4


class Dropping(nn.Module):
    """Skips its second layer in train mode where `skips` says so; that has dropout and batch-norm."""

    def __init__(self, skips: Callable[[], bool]) -> None:
        super().__init__()
        self.skips = skips
        self.first, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(16, 10)
        self.layer = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).tanh()
        if not (self.training and self.skips()):
            x = self.layer(x)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


class Third:
    """Says yes to every third pass."""

    def __init__(self) -> None:
        self.passes = 0

    def __call__(self) -> bool:
        self.passes += 1
        return self.passes % 3 == 0


SKIPS: dict[str, Callable[[], bool]] = {
    "torch.rand": lambda: bool(torch.rand(()) < SELDOM),
    "torch.rand, the other way": lambda: bool(torch.rand([1]) > 1 - SELDOM),
    "uniform_": lambda: bool(torch.empty(1).uniform_() < SELDOM),
    "uniform_ between bounds": lambda: bool(torch.empty(1).uniform_(5, 7) < 5 + SELDOM),
    "bernoulli": lambda: bool(torch.bernoulli(torch.tensor(SELDOM))),
    "random.random": lambda: random.random() < SELDOM,
    "random.uniform": lambda: random.uniform(0, 1) < SELDOM,
    "random.uniform between bounds": lambda: random.uniform(5, 7) > 7 - SELDOM,
    "np.random.rand": lambda: np.random.rand() < SELDOM,
    "np.random.uniform": lambda: np.random.uniform(low=0, high=1) < SELDOM,
    "counting": Third(),
}


@pytest.mark.parametrize("name", SKIPS)
def test_a_layer_that_can_be_skipped_is_found(name: str) -> None:
    network = Dropping(SKIPS[name])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    np.random.seed(7)
    assert find_skipped(network, SPEC) == {"layer", "layer.0", "layer.1", "layer.2"}
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.rand() == np.random.RandomState(7).rand()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_what_every_pass_runs_is_not_found() -> None:
    assert find_skipped(Dropping(lambda: False), SPEC) == set()
    assert find_skipped(make_plain_conv(), SPEC) == set()
    # A pass that fails shows nothing.
    assert find_skipped(make_plain_conv(), InputSpec(shape=(3, 8, 8))) == set()


def test_no_tap_is_on_what_a_pass_can_skip(caplog: pytest.LogCaptureFixture) -> None:
    network = Dropping(SKIPS["torch.rand"])
    teacher = Teacher(make_plain_conv(), SPEC)
    inspection = inspect(network, SPEC, role="student")
    named = BeliefMatching(attention_weight=1.0, taps=(TapPair(teacher="0", student="layer"),))
    with pytest.raises(
        TapError, match="module 'layer' of the student is skipped in some passes in train mode"
    ) as caught:
        resolve_taps(named, teacher, network, inspection)
    assert "\n" not in str(caught.value)
    first = replace(named, taps=(TapPair(teacher="0", student="first"),))
    assert resolve_taps(first, teacher, network, inspection) == first
    with caplog.at_level("INFO"):
        assert resolve_taps(replace(named, taps=None), teacher, network, inspection).taps == ()
    assert "1 and layer are not compared: module 'layer' of the student is skipped" in caplog.text
