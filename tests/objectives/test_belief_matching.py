"""Features fade out of belief matching."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from beliefmatch.networks.taps import Outputs, TapPair
from beliefmatch.objectives.belief_matching import BeliefMatching, fade
from beliefmatch.training.loop import run_round
from tiny import begin, image_transfer


def outputs(seed: int) -> Outputs:
    random = torch.Generator().manual_seed(seed)
    activations = {"block": torch.randn(6, 3, 4, 4, generator=random)}
    return Outputs(logits=torch.randn(6, 10, generator=random), activations=activations, inputs={})


def test_the_factor_falls_from_1_to_0() -> None:
    factors = [float(fade(progress)) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert factors == pytest.approx([1.0, 0.7286, 0.25, 0.0214, 0.0], abs=1e-4)


def test_features_count_at_the_beginning_and_not_at_the_end() -> None:
    objective = BeliefMatching(feature_weight=10.0, taps=(TapPair(teacher="block", student="block"),))
    teacher, student = outputs(0), outputs(1)
    first, last = (objective(teacher, student, None, torch.tensor(progress)) for progress in (0.0, 1.0))
    torch.testing.assert_close(first["features"], 10 * objective.features(teacher, student))
    assert last["features"].abs().max() == 0
    torch.testing.assert_close(first["divergence"], last["divergence"])


def test_a_narrower_student_learns_features_as_far_as_a_linear_map_can_tell() -> None:
    objective = BeliefMatching(feature_weight=10.0, taps=(TapPair(teacher="block", student="block"),))
    teacher = outputs(0)
    half = teacher.activations["block"][:, :2]
    mixed = torch.stack([half[:, 0] + half[:, 1], half[:, 0] - 3 * half[:, 1]], dim=1)
    one, other = (
        objective(teacher, replace(outputs(1), activations={"block": block}), None)["features"]
        for block in (half, mixed)
    )
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
    assert 0 < float(one.mean()) < 10 * 0.4


@dataclass(frozen=True, kw_only=True)
class Recording(BeliefMatching):
    """Notes the progress that it is told."""

    noted: Any = None

    def __call__(
        self, teacher: Outputs, student: Outputs, labels: Tensor | None, progress: Tensor | float = 0.0
    ) -> dict[str, Tensor]:
        self.noted.append(float(progress))
        return super().__call__(teacher, student, labels, progress)


def test_the_loop_tells_the_fraction_of_rounds_completed() -> None:
    transfer, state, teacher, fabric = begin(image_transfer(rounds=4))
    noted: list[float] = []
    transfer = replace(transfer, objective=Recording(taps=transfer.objective.taps, noted=noted))
    for _ in range(3):
        run_round(transfer, state, teacher, fabric)
    assert sorted(set(noted)) == [0.0, 0.25, 0.5]
