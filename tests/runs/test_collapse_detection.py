"""What a collapse looks like in logged rows, and what looks like one and is none."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.runs.collapse_detection import (
    LARGEST_WINDOW,
    WINDOW_ROWS,
    CollapseDetector,
    agreement_beyond_chance,
    effective_number,
    is_long_enough,
    see_constant_teacher,
    window,
)

EVEN = [0.1] * 10
ONE = [0.0] * 3 + [0.99, 0.01] + [0.0] * 5
HEALTHY: dict[str, Any] = {
    "teacher_confidence": 0.8,
    "student_confidence": 0.5,
    "batch_agreement": 0.6,
    "teacher_classes": EVEN,
    "student_classes": EVEN,
    "batch_diversity": 0.9,
    "student_steps": 10,
}
ROUNDS = 400


def kinds(rows: Sequence[dict[str, Any]], *, rounds: int = ROUNDS, batch_size: int = 64) -> list[tuple[int, str]]:
    """Name the collapses that begin to stand, each with its round."""
    detector = CollapseDetector(rounds=rounds, batch_size=batch_size)
    named: dict[str, int] = {}
    for row in rows:
        for finding in detector.detect(completed(row)):
            named.setdefault(finding.kind, row["round"])
    return [(number, kind) for kind, number in named.items()]


def completed(row: dict[str, Any]) -> dict[str, Any]:
    """Add what kept rows lack: a student that moves."""
    return {"student_largest_class": max(row["student_classes"]), "student_norm": 20 + 1e-4 * row["round"]} | row


def rows(num: int = 40, /, *, every: int = 4, **changed: Any) -> list[dict[str, Any]]:
    numbers = [every * (number + 1) for number in range(num)]
    return [HEALTHY | {"round": number, "student_norm": 20 + 1e-4 * number} | changed for number in numbers]


COLLAPSES: dict[str, dict[str, Any]] = {
    "one_class": {"student_classes": ONE, "batch_agreement": 0.1},
    "constant_source": {"batch_diversity": 0.002},
    "pinned": {"student_confidence": 0.9999, "batch_agreement": 0.1},
    "learns_nothing": {"student_norm": 20.0, "batch_agreement": 0.1},
}


def test_one_class_that_changes_from_batch_to_batch_is_one_class() -> None:
    detector = CollapseDetector(rounds=ROUNDS, batch_size=64)
    turning = rows(student_largest_class=0.99, batch_agreement=0.1)
    found = [finding for row in turning for finding in detector.detect(row)]
    assert {each.kind for each in found} == {"one_class"}
    assert "one class, now this, now that, to 99.0 % of each batch" in found[0].seen


def test_a_source_whose_pool_remembers_better_days_is_named_too() -> None:
    detector = CollapseDetector(rounds=ROUNDS, batch_size=64)
    found = [
        finding
        for row in rows(generator_diversity=0.001, student_largest_class=0.1)
        for finding in detector.detect(row)
    ]
    assert {each.kind for each in found} == {"constant_source"}
    assert "all inputs made at a time are alike (diversity 0.001" in found[0].seen


@pytest.mark.parametrize("kind", COLLAPSES)
def test_each_kind_is_named_after_the_first_rounds_and_a_window(kind: str) -> None:
    assert window(ROUNDS, 10) == 20
    # Rounds up to 20 do not count, so the first that looks so is 24; eight rows are more than twenty rounds.
    assert kinds(rows(**COLLAPSES[kind])) == [(24 + 4 * (WINDOW_ROWS - 1), kind)]
    assert kinds(rows(12, **COLLAPSES[kind])) == []


@pytest.mark.parametrize("kind", COLLAPSES)
def test_a_window_must_not_be_broken(kind: str) -> None:
    found = rows(**COLLAPSES[kind])
    for number in range(0, len(found), WINDOW_ROWS - 1):
        found[number] |= HEALTHY | {"student_norm": 21.0}
    assert kinds(found) == []


def test_a_window_spans_rounds_however_often_rows_are_logged() -> None:
    found = rows(40, every=1, **COLLAPSES["one_class"])
    assert kinds(found) == []
    assert kinds(rows(41, every=1, **COLLAPSES["one_class"])) == [(41, "one_class")]
    assert [window(rounds, 10) for rounds in (1, 1000, 80_000)] == [20, 50, LARGEST_WINDOW]
    assert [window(100, steps) for steps in (1, 7, 1000)] == [200, 29, 5]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        # Late in training, both sure and of one mind.
        {"teacher_confidence": 0.9999, "student_confidence": 0.9997, "batch_agreement": 0.97},
        # A teacher sure of everything, of which the student has begun to learn.
        {"teacher_confidence": 0.9999, "student_confidence": 0.6, "batch_agreement": 0.4},
        # The batches themselves lack classes.
        {"teacher_classes": ONE, "student_classes": ONE, "batch_agreement": 0.98},
        {"teacher_classes": [0.9, 0.1] + [0.0] * 8, "student_classes": ONE, "batch_agreement": 0.1},
        # Two classes, of which one is rare, and the student finds half of the rare ones.
        {
            "teacher_classes": [0.08, 0.92],
            "student_classes": [0.04, 0.96],
            "batch_agreement": 0.96,
            "teacher_confidence": 0.9995,
            "student_confidence": 0.9995,
        },
        # No student is pinned at one in a thousand who is twice as sure.
        {
            "teacher_classes": [0.001] * 1000,
            "student_classes": [0.001] * 1000,
            "student_confidence": 0.002,
            "batch_agreement": 0.001,
        },
        # A batch of one example has no diversity.
        {"batch_diversity": None},
        # The student is its teacher already, or has learnt what it could, and moves no longer.
        {"student_norm": 20.0, "batch_agreement": 1.0},
        {"student_norm": 20.0, "batch_agreement": 0.4},
        # It moves, and does not agree yet.
        {"batch_agreement": 0.1},
    ],
)
def test_what_is_healthy_is_not_named(changed: dict[str, Any]) -> None:
    assert kinds(rows(100, **changed)) == []


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        (
            {"student_confidence": 0.1001},
            "the student's confidence is pinned at 1 / 10, that of no knowledge (0.1001; the teacher's is",
        ),
        ({"teacher_confidence": 0.1005}, "the teacher's confidence is pinned at 1 / 10"),
        (
            {"teacher_confidence": 0.9995},
            "the teacher's confidence is pinned at 1 (0.9995; the student's is 0.5000); they agree hardly more",
        ),
        (
            {"student_confidence": 0.5, "student_classes": [0.5, 0.5], "teacher_classes": [0.5, 0.5]},
            "pinned at 1 / 2, that of no knowledge",
        ),
    ],
)
def test_each_bound_of_a_confidence_is_named(changed: dict[str, Any], seen: str) -> None:
    by_chance = 0.5 if "student_classes" in changed else 0.1
    detector = CollapseDetector(rounds=ROUNDS, batch_size=64)
    found = [detector.detect(row) for row in rows(batch_agreement=by_chance, student_largest_class=0.1, **changed)][-1]
    assert [finding.kind for finding in found] == ["pinned"]
    assert seen in found[0].seen
    assert found[0].since == 24


def test_a_batch_that_agrees_by_luck_saves_no_run() -> None:
    found = rows(**COLLAPSES["pinned"])
    for number in range(0, len(found), 3):
        found[number]["batch_agreement"] = 0.35
    assert kinds(found) == [(52, "pinned")]


def test_small_steps_that_add_up_are_no_rest() -> None:
    """Each row lies within what 32 bits resolve of the one before, and the whole way does not."""
    found = rows(**COLLAPSES["learns_nothing"])
    for number, row in enumerate(found):
        row["student_norm"] = 20 * (1 + 1.2e-7 * number)
    assert kinds(found) == []


@pytest.mark.parametrize("kind", ["one_class", "constant_source", "pinned"])
def test_a_student_that_rests_as_well_is_named_by_what_says_more(kind: str) -> None:
    assert [each for _, each in kinds(rows(student_norm=20.0, **COLLAPSES[kind]))] == [kind]


def test_few_examples_are_not_held_against_many_classes() -> None:
    """Eight examples of a thousand classes show at most eight of them."""
    teacher = [0.125] * 8 + [0.0] * 992
    student = [1.0] + [0.0] * 999
    changed = {"teacher_classes": teacher, "student_classes": student, "batch_agreement": 0.125}
    assert kinds(rows(**changed), batch_size=8) != []
    assert kinds(rows(**changed), batch_size=1000) == []
    alone = {"teacher_classes": student, "student_classes": student[::-1], "batch_agreement": 0.0}
    assert kinds(rows(**alone), batch_size=1) == []


def test_agreement_beyond_chance_is_cohens_kappa() -> None:
    row = {"teacher_classes": [0.5, 0.5], "student_classes": [0.8, 0.2], "batch_agreement": 0.7}
    assert agreement_beyond_chance(row) == pytest.approx((0.7 - 0.5) / 0.5)
    row = {"teacher_classes": [0.9, 0.1], "student_classes": [0.9, 0.1], "batch_agreement": 0.82}
    assert agreement_beyond_chance(row) == pytest.approx(0)
    assert agreement_beyond_chance({"teacher_classes": [1, 0], "student_classes": [1, 0], "batch_agreement": 1}) == 0


@pytest.mark.parametrize(
    ("name", "rounds", "batch_size"),
    [
        # The demo: 400 rounds on digits, seed 0.
        ("digits", 400, 128),
        # The paper's recipe on Fashion-MNIST for 300 rounds: a teacher whose probabilities underflow, and whose
        # confidence goes up to .995 while the student's stays near .4.
        ("confident_teacher", 300, 32),
    ],
)
def test_real_runs_that_went_well_are_left_alone(name: str, rounds: int, batch_size: int) -> None:
    lines = (Path(__file__).parent / "healthy" / f"{name}.jsonl").read_text().splitlines()
    assert len(lines) == 100
    assert kinds([json.loads(line) for line in lines], rounds=rounds, batch_size=batch_size) == []


def test_effective_number() -> None:
    assert effective_number([0.25] * 4 + [0.0]) == pytest.approx(4)
    assert effective_number([3.0]) == 1


def test_it_needs_no_torch() -> None:
    code = "import sys, beliefmatch.runs.collapse_detection; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("num", "every", "rounds"), [(0, 4, 20), (5, 4, 20), (40, 4, 160), (12, 4, 48), (9, 50, 450), (40, 1, 40)]
)
def test_a_run_is_long_enough_if_one_that_collapses_from_the_start_is_named(num: int, every: int, rounds: int) -> None:
    seen = rows(num, every=every, **COLLAPSES["one_class"])
    assert is_long_enough(seen, rounds) == bool(kinds(seen, rounds=rounds))


LABELS: dict[str, Any] = {
    "teacher_confidence": 0.8,
    "student_confidence": 0.8,
    "batch_agreement": 0.85,
    "teacher_label_frequencies": [0.5, 0.3, 0.02],
    "student_label_frequencies": [0.5, 0.3, 0.02],
    "teacher_fixed_labels": 0.1,
    "student_fixed_labels": 0.1,
    "batch_diversity": 0.9,
    "student_steps": 10,
}
NUMBERS: dict[str, Any] = {
    "batch_r2": 0.7,
    "teacher_spread": 0.9,
    "student_spread": 0.8,
    "batch_diversity": 0.9,
    "student_steps": 10,
}


def kinds_of(row: dict[str, Any], num: int = 40) -> list[str]:
    """Name the collapses of a run whose rows are all alike, but for a student that moves."""
    detector = CollapseDetector(rounds=ROUNDS, batch_size=64)
    rows = [row | {"round": 4 * (number + 1), "student_norm": 3.0 + number} for number in range(num)]
    found = [finding for each in rows for finding in detector.detect(each)]
    return sorted({finding.kind for finding in found})


def test_labels_and_numbers_that_are_learned_are_no_collapse() -> None:
    assert kinds_of(LABELS) == kinds_of(NUMBERS) == []
    unsure = {"student_confidence": 0.9999, "teacher_confidence": 0.9999}
    assert kinds_of(LABELS | unsure) == [], "sure of all labels, and right"


def test_labels_that_are_always_on_or_off_are_a_collapse() -> None:
    fixed = {
        "student_fixed_labels": 1.0,
        "student_label_frequencies": [1.0, 0.0, 0.0],
        "batch_agreement": 0.5 + 0.7 / 3,
    }
    assert kinds_of(LABELS | fixed) == ["constant_student"]
    assert kinds_of(LABELS | fixed | {"teacher_fixed_labels": 1.0}) == [], "the teacher gives no others"


def test_a_confidence_of_a_half_is_that_of_no_knowledge_of_labels() -> None:
    chance = 1 / 3 * (0.5 + 0.58 + 0.9608)
    assert kinds_of(LABELS | {"student_confidence": 0.501, "batch_agreement": chance}) == ["pinned"]


def test_numbers_that_are_nearly_equal_are_a_collapse() -> None:
    assert kinds_of(NUMBERS | {"student_spread": 0.01, "batch_r2": 0.0}) == ["constant_student"]
    assert kinds_of(NUMBERS | {"student_spread": 0.01, "teacher_spread": 0.02}) == []


def test_agreement_beyond_chance_of_labels_is_their_mean_kappa() -> None:
    both = {"teacher_label_frequencies": [0.5, 0.5], "student_label_frequencies": [0.5, 0.5]}
    assert agreement_beyond_chance(both | {"batch_agreement": 0.5}) == pytest.approx(0)
    assert agreement_beyond_chance(both | {"batch_agreement": 0.75}) == pytest.approx(0.5)
    assert agreement_beyond_chance({"batch_r2": 0.3}) == 0.3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (LABELS, None),
        (NUMBERS, None),
        (LABELS | {"teacher_fixed_labels": 1.0}, "predicts the same labels"),
        (NUMBERS | {"teacher_spread": 0.001}, "gives nearly the same numbers"),
        (NUMBERS | {"teacher_spread": 0.001, "batch_diversity": 0.001}, None),
    ],
)
def test_a_teacher_that_predicts_the_same_for_all_is_told(row: dict[str, Any], said: str | None) -> None:
    found = see_constant_teacher(row, 64)
    assert (found is None) == (said is None)
    assert said is None or said in str(found)
