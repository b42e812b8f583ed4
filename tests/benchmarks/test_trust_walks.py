"""The benchmark of walks and of second seeds: what it collects, and on which pairs it judges."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import trust_walks
from beliefmatch.measurement.agreement_estimates import weighted_agreement
from planted_pairs import planted
from trust import Ground, Pairs, make_ground, run_on
from trust_walks import OF_SEEDS, WALKED, collect_task, judge_all


@pytest.fixture
def arguments(tmp_path: Path) -> Namespace:
    return Namespace(
        data=tmp_path, folder=tmp_path / "runs", recipes=["noise", "w4a8"], seeds=[0, 1], inputs=16, examples=50,
        walks=8,
    )  # fmt: skip


def test_a_recipe_is_collected_with_all_seeds_once(
    arguments: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, grounds = list[Tensor](), list[Ground]()
    monkeypatch.setattr(trust_walks, "run_on", lambda *pair: answers.append(run_on(*pair)) or answers[-1])
    monkeypatch.setattr(trust_walks, "make_ground", lambda *given: grounds.append(make_ground(*given)) or grounds[-1])
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_task("features", pairs, arguments)
    assert [(row["run"], row["budget"]) for row in pairs.rows] == [
        (f"noise_{seed}", budget) for seed in (0, 1) for budget in ("1/8", "1/4", "1/2", "1/1")
    ]
    assert all(0 <= row["candidates"][name] <= 1 for row in pairs.rows for name in WALKED)
    weights = grounds[0].probe.weights["balanced"]
    for first, second, one, other in zip(pairs.rows, pairs.rows[4:], answers, answers[4:], strict=False):
        alike = weighted_agreement(one, other, weights)
        assert first["candidates"][OF_SEEDS] == second["candidates"][OF_SEEDS] == pytest.approx(alike, abs=1e-5)
    again = Pairs(pairs.path)
    collect_task("features", again, arguments)
    assert again.rows == pairs.rows


def planted_with_new() -> list[dict[str, Any]]:
    """Return pairs on which the walks led by the teacher are the truth and known candidates are not."""
    rows = planted(error=0.4)
    for row in rows:
        row["candidates"] |= dict.fromkeys((*WALKED, OF_SEEDS), 0.5)
        row["candidates"]["agreement_on_walks_led_by_teacher"] = row["agreement"]
    return rows


def test_new_candidates_are_judged_beside_the_known_on_the_same_pairs() -> None:
    found = judge_all(planted_with_new())
    by_name = {each["candidate"]: each for each in found["without_public"]["candidates"]}
    assert {each["pairs"] for each in by_name.values()} == {found["pairs"]}
    assert by_name["agreement_on_walks_led_by_teacher"]["recipes_right"] == 1
    assert by_name["agreement_balanced"]["recipes_right"] < 1
    known, both = (found[f"map_of_{kind}"]["scores"]["mean_absolute_error"] for kind in ("known", "known_and_new"))
    assert both < 0.02 < known
    assert "made_of_teacher" not in found
