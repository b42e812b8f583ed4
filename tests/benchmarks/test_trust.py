"""The benchmark of estimates without data: what it collects, and that its judgement finds what was planted."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.studies.common_inputs import what_agreement_tells
from machine import RESULTS
from planted_pairs import RUNS, TASKS, planted
from tiny import make_conv_teacher
from trust import Pairs, collect_task
from trust_judging import PUBLIC, compared, judge, judge_candidate
from trust_maps import IN_8_BITS, UNSEEN, WITHOUT, quantile_of, value_of
from trust_parts import judge_crops, judge_parts
from trust_tasks import HELD_OUT, Rescaled, disturb, lose_class


def test_a_candidate_that_is_the_truth_is_found() -> None:
    found = judge(planted(error=0.0))
    assert found["summary"]["pairs"] == len(TASKS) * RUNS * 4
    assert found["summary"]["rank_correlation_within"] == pytest.approx(1)
    assert found["summary"]["rank_correlation_across"] == pytest.approx(1, abs=1e-3)
    assert found["summary"]["mean_absolute_error"] < 0.01
    assert found["scores"]["recipes_right"] == 1
    assert found["scores"]["checkpoint_loss"] == 0
    assert found["runs_that_move"] == len(TASKS) * RUNS
    assert all("agreement" in " ".join(names) for names in found["chosen_for_each_task"].values())


def test_intervals_hold_nine_tenths_of_what_is_alike_in_all_tasks() -> None:
    scores = judge(planted(error=0.05))["scores"]
    assert 0.8 <= scores["coverage_90"] <= 0.99
    assert scores["mean_width"] < 0.35


def test_noise_orders_nothing() -> None:
    found = judge_candidate(planted(error=0.0), "confidence_gap_balanced")
    assert abs(found["across"]) < 0.25
    assert found["recipes_right"] < 0.7
    assert found["error_isotonic"] > 0.1


def test_a_candidate_that_falls_with_the_truth_counts_as_one_that_rises() -> None:
    rows = planted(error=0.0)
    for row in rows:
        row["candidates"]["divergence_balanced"] = 2 - row["agreement"]
    found = judge_candidate(rows, "divergence_balanced")
    assert (found["within_runs"], found["recipes_right"]) == (pytest.approx(1), 1)
    assert found["error_isotonic"] < 0.01


def test_crops_are_judged_beside_others_on_the_pairs_that_have_them() -> None:
    rows = planted(error=0.4)
    assert judge_crops([]) is None
    for row in rows:
        if row["task"] != TASKS[0]:
            row["candidates"]["crop_sensitivity_balanced"] = 1 - row["agreement"]
    found = judge_parts(rows)["crops"]
    by_name = {each["candidate"]: each for each in found["candidates"]}
    assert {each["pairs"] for each in by_name.values()} == {found["pairs"]} == {(len(TASKS) - 1) * RUNS * 4}
    assert by_name["crop_sensitivity_best"]["recipes_right"] == 1 > by_name["agreement_balanced"]["recipes_right"]
    without, with_crops = (found[f"map_{kind}_crops"]["scores"]["mean_absolute_error"] for kind in ("without", "with"))
    assert with_crops < 0.02 < without


def test_each_kind_of_pairs_is_judged_by_itself() -> None:
    rows = planted(error=0.0)
    for row in rows:
        row["recipe"] = {"0": "kept_thin", "1": "best_without_areas"}.get(row["run"], row["recipe"])
        row["budget"] = IN_8_BITS if row["run"] == "2" else row["budget"]
        row["candidates"]["student_class_entropy_balanced"] = 0.05 if row["run"] == "3" else 0.5
        row["candidates"]["agreement_entropy"] = None if row["run"] == "3" else row["agreement"]
    found = judge_parts(rows)
    each = len(TASKS) * 4
    counts = {name: part["pairs"] for name, part in found["parts"].items()}
    assert counts == dict.fromkeys(("eight_bits", "kept", "held_out"), each) | {"batch_norm": len(rows) - each}
    assert [one["candidate"] for one in found["parts"]["held_out"]["candidates"]][-1] == UNSEEN
    assert found["collapsed"] == each


def test_a_long_run_is_not_compared_with_short_ones() -> None:
    rows = planted(error=0.0)
    whole = len(compared(rows))
    for row in rows:
        row["recipe"] = "kept" if row["run"] == "0" else row["recipe"]
    assert len(compared(rows)) < whole
    assert all("0" not in (rows[index]["run"] for index in pair) for pair in compared(rows))
    for row in rows:
        row["task"] = PUBLIC if row["task"] == TASKS[0] else row["task"]
    assert {rows[first]["task"] for first, second in compared(rows) if rows[second]["run"] == "0"} == {PUBLIC}


def test_a_quantile_is_of_the_weights() -> None:
    values, weights = np.arange(10.0), np.ones(10)
    assert quantile_of(values, weights) == 8
    weights[9] = 9
    assert quantile_of(values, weights) == 9


def test_a_task_is_collected_once(tmp_path: Path) -> None:
    arguments = Namespace(data=tmp_path, folder=tmp_path / "runs", recipes=["noise"], seeds=[0], inputs=16, examples=50)
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_task("features", pairs, arguments)
    assert [row["budget"] for row in pairs.rows] == ["1/8", "1/4", "1/2", "1/1"]
    assert all(0 <= row["agreement"] <= 1 and row["teacher_accuracy"] > 0.8 for row in pairs.rows)
    again = Pairs(pairs.path)
    collect_task("features", again, arguments)
    assert again.rows == pairs.rows


def test_students_are_broken_as_they_are_called() -> None:
    network = nn.Linear(4, 3)
    inputs = torch.randn(200, 4)
    assert torch.equal(Rescaled(network, 2.0, 1.0)(inputs), network(2 * inputs + 1))
    assert lose_class(nn.Linear(4, 3), 1)(inputs).argmax(1).ne(1).all()
    before = network.weight.detach().clone()
    disturb(network, 0.1)
    size = float((network.weight.detach() - before).std() / before.std())
    assert 0.03 < size < 0.3


def test_recipes_leave_a_family_out_whatever_the_normalisation() -> None:
    teacher = Teacher(make_conv_teacher(), InputSpec(shape=(1, 8, 8), mean=(0.3,), std=(0.4,)))
    for name, recipe in HELD_OUT.items():
        source = recipe.settings["source"].resolve(teacher)
        textures = 1 - source.leaf_fraction
        parts = {
            "leaves": source.leaf_fraction,
            "areas": textures * (1 - source.curve_fraction),
            "curves": textures * source.curve_fraction,
            "refined": source.refined_fraction,
        }
        assert [family for family, part in parts.items() if part == 0] == [name.removeprefix(WITHOUT)]


def test_agreement_on_what_was_left_out_is_that_of_its_family() -> None:
    row = {"recipe": "best_without_curves", "candidates": {"agreement_on_curves": 0.4, "agreement_on_areas": 0.7}}
    assert value_of(row, UNSEEN) == 0.4
    assert value_of(row | {"recipe": "best"}, UNSEEN) is None


def test_compare_says_how_often_its_order_was_right_here() -> None:
    found = json.loads((RESULTS / "trust.json").read_text())
    right = next(each["recipes_right"] for each in found["candidates"] if each["candidate"] == "agreement_balanced")
    assert f"in {100 * right:.0f} % of {found['recipes_compared']} cases" in what_agreement_tells()
