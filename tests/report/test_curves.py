"""Numbers by round: averaged, thinned, told in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beliefmatch.report.class_frequencies import frequencies
from beliefmatch.report.curves import Curve, describe, entry, gather, tabulate, thin
from beliefmatch.report.runs import Run, read_runs
from beliefmatch.runs.collapse_detection import effective_number


@pytest.fixture
def run(two_runs: list[Path]) -> Run:
    return read_runs(two_runs[:1])[0]


def with_rows(run: Run, losses: dict[int, float | None]) -> Run:
    rows = tuple({"round": number, "loss": loss} for number, loss in losses.items())
    return replace(run, rows=rows)


def test_mean_and_deviation_are_those_of_the_runs(two_runs: list[Path]) -> None:
    runs = read_runs(two_runs)
    curve = gather(runs, entry("student_loss"), label="")
    values = np.array([[row["student_loss"] for row in run.rows] for run in runs])
    assert curve is not None
    assert curve.deviation is not None
    np.testing.assert_allclose(curve.mean, values.mean(axis=0))
    np.testing.assert_allclose(curve.deviation, values.std(axis=0, ddof=1))


def test_a_single_run_has_no_deviation(run: Run) -> None:
    curve = gather([run], entry("student_loss"), label="")
    assert curve is not None
    assert curve.deviation is None
    assert gather([run], entry("no_such_number"), label="") is None


def test_a_run_that_was_cut_short_counts_as_far_as_it_came(run: Run) -> None:
    runs = [with_rows(run, {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}), with_rows(run, {1: 3.0, 2: 4.0})]
    curve = gather(runs, entry("loss"), label="")
    assert curve is not None
    assert curve.deviation is not None
    np.testing.assert_allclose(curve.mean, [2, 3, 3, 4])
    np.testing.assert_allclose(curve.deviation, [2**0.5, 2**0.5, np.nan, np.nan])


def test_rounds_that_were_not_logged_are_read_between(run: Run) -> None:
    runs = [with_rows(run, {1: 0.0, 2: 0.0, 3: 0.0}), with_rows(run, {1: 2.0, 3: 4.0})]
    curve = gather(runs, entry("loss"), label="")
    assert curve is not None
    np.testing.assert_allclose(curve.mean, [1, 1.5, 2])


def test_what_is_no_number_is_left_out(run: Run) -> None:
    curve = gather([with_rows(run, {1: 1.0, 2: float("nan"), 3: None, 4: 2.0})], entry("loss"), label="")
    assert curve is not None
    assert curve.rounds.tolist() == [1, 4]


def test_thinning_keeps_both_ends() -> None:
    assert thin(3, 10).tolist() == [0, 1, 2]
    chosen = thin(1000, 25)
    assert (len(chosen), chosen[0], chosen[-1]) == (25, 0, 999)


def test_words_say_where_a_line_goes() -> None:
    falling = Curve(label="", rounds=np.array([1.0, 2.0, 3.0]), mean=np.array([2.0, 0.5, 1.0]))
    assert describe(falling, quantity="student loss") == (
        "Student loss falls from 2 in round 1 to 1 in round 3; lowest 0.5 in round 2, highest 2 in round 1."
    )
    assert "rises from" in describe(Curve(label="", rounds=falling.rounds, mean=-falling.mean), quantity="loss")
    assert "stays near" in describe(Curve(label="", rounds=falling.rounds, mean=np.ones(3)), quantity="loss")
    assert describe(Curve(label="a", rounds=np.ones(1), mean=np.ones(1)), quantity="loss") == "A, loss: 1 in round 1."


def test_a_table_of_data_is_thinned_and_says_so() -> None:
    rounds = np.arange(100.0)
    table = tabulate([Curve(label="loss", rounds=rounds, mean=rounds)], caption="Loss: data")
    assert len(table.rows) == 25
    assert table.caption == "Loss: data (25 of 100 logged)"


def test_effective_number_of_classes() -> None:
    assert effective_number([0.25] * 4) == pytest.approx(4)
    assert effective_number([1, 0, 0]) == pytest.approx(1)
    assert frequencies({"student_classes": [0.5, 0.5]}, "student") == [0.5, 0.5]
    assert all(
        frequencies({"student_classes": wrong}, "student") is None for wrong in (None, [], [0, 0], [1, "a"], [-1, 2])
    )
