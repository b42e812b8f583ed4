"""Plans may be anybody's: what does not fit the network is refused in one line."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from beliefmatch.errors import NetworkError
from beliefmatch.networks.pruning.narrowing import apply_plan, layer_sizes, plan_of
from beliefmatch.runs.schema.plan import PrunedLayer, PruningPlan


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1, groups=2), nn.Flatten())


def plan(*layers: PrunedLayer, dropped: tuple[str, ...] = ()) -> PruningPlan:
    return PruningPlan(num_outputs=4, dropped=dropped, layers=layers)


def layer(name: str = "0", outputs: Any = None, inputs: Any = None) -> PrunedLayer:
    return PrunedLayer(name=name, outputs=outputs, inputs=inputs, num_outputs=4, num_inputs=None if name == "1" else 3)


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (plan(layer("9", (0,))), r"'9', which is not in the network; the nearest"),
        (plan(layer("__class__", (0,))), "which is not in the network"),
        (plan(layer("0.weight", (0,))), "which is not in the network"),
        (plan(layer("", (0,))), "'', which is of a type that cannot be narrowed"),
        (plan(layer("2", (0,))), "'2', which is of a type that cannot be narrowed"),
        (plan(layer("3", (0,))), "'3', which is of a type that cannot be narrowed"),
        (plan(layer(outputs=())), r"keeps outputs of '0' that it does not have: expected positions from 0 to 3"),
        (plan(layer(outputs=(0, 4))), "keeps outputs"),
        (plan(layer(outputs=(-1, 2))), "keeps outputs"),
        (plan(layer(outputs=(1, 1))), "keeps outputs"),
        (plan(layer(outputs=(2, 1))), "keeps outputs"),
        (plan(layer(outputs=(2**62,))), "keeps outputs"),
        (plan(layer(inputs=(0, 3))), r"keeps inputs of '0' that it does not have: expected positions from 0 to 2"),
        (plan(layer("1", None, (0,))), "keeps inputs of '1'"),
        (plan(layer(outputs=(0,)), layer(outputs=(1,))), "names a layer twice"),
        (plan(replace(layer("0"), num_outputs=5)), "'0' of 5 outputs and 3 inputs .* has 4 and 3"),
        (plan(replace(layer("1"), num_inputs=4)), "'1' of 4 outputs and 4 inputs .* has 4 and none"),
        (plan(dropped=("",)), "drops '', which is not in the network"),
        (plan(dropped=("7",)), "drops '7', which is not in the network; the nearest"),
        (plan(layer("0", (0,)), dropped=("0",)), "'0', which is of a type that cannot be narrowed"),
    ],
)
def test_a_plan_that_does_not_fit_is_one_line(hostile: PruningPlan, why: str) -> None:
    with pytest.raises(NetworkError, match=why) as caught:
        apply_plan(network(), hostile)
    assert "\n" not in str(caught.value)


def test_a_name_of_any_length_is_shown_in_part() -> None:
    with pytest.raises(NetworkError) as caught:
        apply_plan(network(), plan(layer("x" * 100_000, (0,))))
    assert len(str(caught.value)) < 1000


def test_a_network_carries_its_plan_and_its_copies_do() -> None:
    made, wanted = network(), plan(layer("0", (1, 3)), layer("1", (1, 3)))
    assert plan_of(made) is None
    apply_plan(made, wanted)
    assert plan_of(copy.deepcopy(made)) == wanted
    assert set(made.state_dict()) == set(network().state_dict())


def test_a_dropped_block_passes_on_what_it_gets() -> None:
    made = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2))
    apply_plan(made, plan(dropped=("0",)))
    inputs = torch.randn(2, 3)
    assert torch.equal(made(inputs), made[1](inputs))


def test_a_parameter_that_does_not_move_does_not_move_afterwards() -> None:
    made = network().requires_grad_(requires_grad=False)
    apply_plan(made, plan(layer("0", (1, 3))))
    assert not made[0].weight.requires_grad


def test_a_layer_that_computes_its_weight_is_left_whole() -> None:
    assert layer_sizes(weight_norm(nn.Linear(3, 4))) is None
    assert layer_sizes(nn.GroupNorm(2, 4)) is None
    assert layer_sizes(nn.PReLU()) is None
