"""The sentences at the top, which must be true for a short run too."""

from dataclasses import replace
from pathlib import Path

import pytest

from beliefmatch.report.groups import group_runs
from beliefmatch.report.headline import headline_sentences
from beliefmatch.report.network_tables import networks_table, run_table
from beliefmatch.report.runs import Run, read_runs
from beliefmatch.runs.schema.result import Result


@pytest.fixture
def run(two_runs: list[Path]) -> Run:
    return read_runs(two_runs[:1])[0]


def told(run: Run, **changes: object) -> str:
    """The headline of a run whose result has other values."""
    assert isinstance(run.result, Result)
    changed = replace(run, result=replace(run.result, **changes))  # pyright: ignore[reportArgumentType]
    return " ".join(headline_sentences(group_runs([changed]))).replace("\N{NBSP}", " ")


@pytest.mark.parametrize(
    ("rounds", "rounds_fraction", "words"),
    [
        (20, 0.01, "It was trained for 20 of the 2,000 rounds that the recipe usually does, in "),
        (2000, 1.0, "It was trained for 2,000 rounds, in "),
        (3000, 1.5, "It was trained for 3,000 rounds, more than the 2,000 that the recipe usually does, in "),
        (20, None, "It was trained for 20 rounds, in "),
        (20, 0.0, "It was trained for 20 rounds, in "),
        (20, 1e-320, "It was trained for 20 rounds, in "),
    ],
)
def test_rounds_are_those_that_were_done_of_those_that_are_usual(
    run: Run, rounds: int, rounds_fraction: float | None, words: str
) -> None:
    assert words in told(run, rounds=rounds, rounds_fraction=rounds_fraction)


def test_time_is_told_in_seconds_or_in_hours(run: Run) -> None:
    assert ", in 12.3 s." in told(run, seconds=12.345)
    assert ", in 1 h 5 min." in told(run, seconds=3900.0)


def test_latency_stands_beside_size_and_multiply_accumulates(run: Run) -> None:
    sizes = {"teacher_parameters": 3000, "student_parameters": 1000, "teacher_macs": 5000, "student_macs": 10000}
    text = told(run, **sizes, teacher_latency=0.003, student_latency=0.001)
    assert text.endswith(
        "The student has 1.00 k parameters (teacher: 3.00 k, so 3 times fewer), 10.0 k multiply-accumulates (teacher: "
        "5.00 k, so 2 times as many) and a latency of 1.00 ms for one example (teacher: 3.00 ms, so 3 times shorter)."
    )


def test_a_slower_student_is_not_called_faster(run: Run) -> None:
    assert "(teacher: 1.00 ms, so 2 times longer)" in told(run, teacher_latency=0.001, student_latency=0.002)
    assert "(teacher: 2.00 ms, as long)" in told(run, teacher_latency=0.002, student_latency=0.002)


def test_what_was_not_recorded_is_left_out(run: Run) -> None:
    missing = dict.fromkeys(("teacher_macs", "student_macs", "teacher_latency", "student_latency"))
    text = told(run, **missing)
    assert "latency" not in text
    assert "multiply-accumulates" not in text
    assert "The student has " in text


def test_what_belongs_to_both_networks_stands_under_neither(run: Run) -> None:
    """Agreement, cost and memory are of the pair or of the run, not of the teacher."""
    groups = group_runs([run])
    found = networks_table(groups)
    assert found is not None
    by_network, together = ({row[0].text for row in table.rows} for table in (found, run_table(groups)))
    of_both = {"agreement", "training time", "peak memory"}
    assert of_both <= together
    assert not by_network & together
    assert {"accuracy", "size", "MACs", "latency"} <= by_network
