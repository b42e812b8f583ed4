"""Runs of many rounds: their curves and tables are thinned, and the page stays small."""

import json
from pathlib import Path

import pytest

from beliefmatch.report.curves import MAX_POINTS, MAX_ROWS, curves_of, draw_curves, entry
from beliefmatch.report.groups import group_runs
from beliefmatch.report.runs import MAX_ROWS as MAX_ROWS_KEPT
from beliefmatch.report.runs import Run, read_runs, round_of
from bounded_process import run_bounded
from report.conftest import Copy
from report.html_page import build

ROUNDS = 3 * MAX_ROWS_KEPT + 1
PUBLISHED_ROUNDS = 80_000
MAX_PAGE = 500_000
"""Characters."""


@pytest.fixture
def long(copy: Copy) -> Path:
    folder = copy("long")
    write_rows(folder, ROUNDS)
    return folder


def write_rows(folder: Path, count: int) -> None:
    """Let a run have logged so many rounds."""
    metrics = folder / "metrics.jsonl"
    row = json.loads(metrics.read_text().splitlines()[-1])
    lines = (json.dumps(row | {"round": number, "student_loss": number % 2}) for number in range(1, count + 1))
    metrics.write_text("".join(f"{line}\n" for line in lines))


def test_some_thousand_rows_are_kept_with_the_ends_and_those_of_pictures(long: Path) -> None:
    run: Run = read_runs([long])[0]
    rounds = [row["round"] for row in run.rows]
    assert MAX_ROWS_KEPT <= len(rounds) <= MAX_ROWS_KEPT + len(run.pictures)
    assert (rounds[0], rounds[-1]) == (1, ROUNDS)
    assert {round_of(picture) for picture in run.pictures} <= set(rounds)
    assert rounds == sorted(rounds)


def test_a_figure_has_some_hundred_points_and_its_table_some_rows(long: Path) -> None:
    groups = group_runs(read_runs([long]))
    picture = draw_curves(
        curves_of(groups, entry("student_loss"), label="loss"), title="Loss", note="", ylabel="loss", limits=(0, 1)
    )
    assert picture.data is not None
    assert len(picture.data.rows) == MAX_ROWS <= 25
    assert picture.data.rows[-1][0].value == ROUNDS
    assert picture.svg.count("L") < MAX_POINTS + 100


def test_the_page_of_a_long_run_is_small(long: Path) -> None:
    assert len(build(long).html) < MAX_PAGE


@pytest.mark.long
def test_the_report_of_80_000_rows_takes_little_memory(copy: Copy, tmp_path: Path) -> None:
    folder = copy("longest")
    write_rows(folder, PUBLISHED_ROUNDS)
    assert run_bounded("report", folder, "--out", tmp_path / "report.html", log=tmp_path / "log")[0] == 0
    assert (tmp_path / "report.html").stat().st_size < MAX_PAGE
