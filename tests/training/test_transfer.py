"""The loop."""

import copy
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import SettingsError, TapError
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.taps import TapPair
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.training.collapse_policy import whose_outputs
from beliefmatch.training.loop import run_round
from beliefmatch.training.prepare import resolve, resolve_taps
from beliefmatch.training.run_settings import fingerprint
from beliefmatch.training.transfer import Transfer
from tiny import begin, tiny_transfer, vector_transfer


def test_the_teacher_is_unchanged_bit_for_bit_and_no_gradient_is_left() -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer())
    before = fingerprint(teacher.module)
    for _ in range(3):
        run_round(transfer, state, teacher, fabric)
    assert fingerprint(teacher.module) == before
    assert all(parameter.grad is None for parameter in teacher.module.parameters())
    assert all(parameter.grad is None for parameter in state.student.parameters())


def test_the_student_learns() -> None:
    transfer, state, teacher, fabric = begin(vector_transfer(rounds=60, batch_size=32))
    losses = [run_round(transfer, state, teacher, fabric)["student_loss"].mean() for _ in range(60)]
    assert losses[-1] < losses[0] / 2


def test_the_generator_raises_the_divergence_of_a_student_that_stands_still() -> None:
    transfer, state, teacher, fabric = begin(vector_transfer(rounds=200, batch_size=64))
    before = transfer.source.improve(state.source, teacher, state.student, fabric)["generator_divergence"]
    for _ in range(100):
        after = transfer.source.improve(state.source, teacher, state.student, fabric)["generator_divergence"]
    assert after.item() < 1.5 * before.item() < 0  # pyright: ignore[reportPossiblyUnboundVariable]


def test_the_learning_rates_fall_by_a_cosine_over_all_rounds() -> None:
    transfer, state, teacher, fabric = begin(vector_transfer(rounds=4))
    rates = []
    for _ in range(4):
        rates.append(state.optimisation.schedule.get_last_lr()[0])
        run_round(transfer, state, teacher, fabric)
    expected = 2e-3 * (1 + torch.cos(torch.arange(4) * torch.pi / 4)) / 2
    torch.testing.assert_close(torch.tensor(rates), expected)
    assert state.optimisation.schedule.get_last_lr()[0] == pytest.approx(0)


def test_a_loss_that_is_not_finite_is_remembered_with_its_round() -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer())
    run_round(transfer, state, teacher, fabric)
    assert state.first_bad_round.item() == -1
    with torch.no_grad():
        next(state.student.parameters()).fill_(float("nan"))
    for _ in range(2):
        run_round(transfer, state, teacher, fabric)
    assert state.first_bad_round.item() == 2
    assert whose_outputs(state, transfer) == (
        ": outputs were not finite, of the teacher for 100.0 % and of the student for 100.0 % of a batch of Adversarial"
    )


def test_outputs_that_are_not_finite_are_named_with_their_part_of_the_batch() -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer())
    run_round(transfer, state, teacher, fabric)

    def spoil(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        """Without a class for the first three of eight."""
        return output.index_fill(0, torch.arange(3), float("nan"))

    teacher.module.register_forward_hook(spoil)
    assert whose_outputs(state, transfer) == ""
    for _ in range(2):
        run_round(transfer, state, teacher, fabric)
    assert state.first_bad_round.item() == 2
    assert whose_outputs(state, transfer) == (
        ": outputs were not finite, of the teacher for 37.5 % of a batch of Adversarial"
    )


@pytest.mark.parametrize("fresh", [False, True])
def test_the_teacher_runs_once_for_each_distinct_batch(fresh: bool) -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer())
    transfer = replace(transfer, source=Adversarial(student_steps=3, fresh_noise=fresh, noise_size=6))
    passes = []
    teacher.module.register_forward_hook(lambda *_: passes.append(1))
    run_round(transfer, state, teacher, fabric)
    assert len(passes) == 1 + (3 if fresh else 1)


def test_taps_that_cannot_be_compared_are_refused() -> None:
    transfer, state, teacher, _ = begin(tiny_transfer())
    objective = replace(transfer.objective, attention_weight=1.0, taps=(TapPair(teacher="2", student="4"),))
    with pytest.raises(TapError, match=r"2 of the teacher gives \(8, 8, 8\), 4 of the student \(4, 2, 2\)"):
        resolve_taps(objective, teacher, state.student, inspect(state.student, teacher.spec, role="student"))


def test_a_pair_that_nobody_named_falls_away(caplog: pytest.LogCaptureFixture) -> None:
    transfer, state, teacher, _ = begin(tiny_transfer())
    objective = replace(transfer.objective, attention_weight=1.0, taps=None)
    # Declared by both, but of other resolutions, or never run.
    vars(teacher.module)["attention_taps"], vars(state.student)["attention_taps"] = ("0", "2", "3"), ("0", "4", "3")
    with caplog.at_level("INFO"):
        found = resolve_taps(objective, teacher, state.student, inspect(state.student, teacher.spec, role="student"))
    assert found.taps == (TapPair(teacher="0", student="0"),)
    assert "2 and 4 are not compared: activations cannot be compared" in caplog.text


FEATURES = BeliefMatching(feature_weight=10.0)


def resolved(objective: BeliefMatching, student: nn.Module, tiny: Transfer | None = None) -> BeliefMatching:
    """Resolve an objective for a student of the tiny teacher."""
    transfer, _, teacher, _ = begin(tiny or tiny_transfer())
    found = resolve(
        replace(transfer, objective=objective), teacher, student, inspect(student, teacher.spec, role="student")
    ).objective
    assert isinstance(found, BeliefMatching)
    return found


def test_a_student_of_the_teachers_family_matches_features() -> None:
    _, _, teacher, _ = begin(tiny_transfer())
    found = resolved(FEATURES, copy.deepcopy(teacher.module))
    assert found.feature_weight == FEATURES.feature_weight
    assert found.taps


def test_a_teacher_without_batch_norm_has_no_features_to_match() -> None:
    _, _, teacher, _ = begin(vector_transfer())
    found = resolved(FEATURES, copy.deepcopy(teacher.module), vector_transfer())
    assert found.feature_weight == 0


def test_a_student_of_another_family_matches_none_unless_pairs_are_named() -> None:
    _, _, teacher, _ = begin(tiny_transfer())
    stranger = nn.Sequential(OrderedDict(body=copy.deepcopy(teacher.module)))
    found = resolved(FEATURES, stranger)
    assert found.feature_weight == 0
    assert found.taps == ()
    named = replace(FEATURES, taps=(TapPair(teacher="0", student="body.0"),))
    assert resolved(named, stranger) == named


BAD_ADAM = Adam(learning_rate=0.0, gradient_clip=1.0)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"batch_size": -1}, {"student_optimiser": BAD_ADAM}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="must be above 0"):
        replace(tiny_transfer(), **wrong)
