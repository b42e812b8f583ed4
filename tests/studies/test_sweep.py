"""A sweep does each run once, continues what was stopped, and gathers mean and deviation; a collapse is named."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import torch

from beliefmatch.errors import CollapseError
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import Images
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from beliefmatch.runs.schema.measurement import Estimate, MeasurementRecord, Transition
from beliefmatch.studies import sweep as module
from beliefmatch.studies.sweep import Cell, Outcome, format_spread, mean_and_deviation, measure_on, sweep
from beliefmatch.training import run as training
from beliefmatch.training.options import RunOptions
from beliefmatch.training.transfer import Transfer
from tiny import make_conv_teacher, tiny_transfer

DIVERGES = "a loss or gradient stopped being finite in round 2"


@pytest.fixture
def examples() -> Images:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, 8, 8, 1), dtype=torch.uint8, generator=random)
    return Images(images=images, labels=torch.arange(20) % 10)


def make_cell(folder: Path, name: str, rounds: int = 2, **more: Any) -> Cell[Any]:
    return Cell(
        name=name,
        transfer=lambda seed: tiny_transfer(rounds=rounds, seed=seed),
        folder=lambda seed: folder / name / f"seed_{seed}",
        options=RunOptions(folder=folder, accelerator="cpu", resume=True, checkpoint_every=1),
        **more,
    )


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name the folder of each run that is asked for, in order."""
    folders: list[str] = []
    run = training.run

    def watched(transfer: Transfer, options: RunOptions, **more: Any) -> Any:
        folders.append(f"{options.folder.parent.name}/{options.folder.name}")
        return run(transfer, options, **more)

    monkeypatch.setattr(module, "run", watched)
    return folders


def test_each_cell_runs_with_each_seed_and_is_measured(tmp_path: Path, done: list[str], examples: Images) -> None:
    cells = [make_cell(tmp_path, name, rounds, measure=measure_on(examples)) for name, rounds in (("a", 2), ("b", 3))]
    reported: list[tuple[str, int]] = []

    def report(outcome: Outcome[Any]) -> None:
        reported.append((outcome.cell.name, outcome.seed))

    rows = sweep(cells, (0, 1), report=report)
    assert done == ["a/seed_0", "b/seed_0", "a/seed_1", "b/seed_1"], "seed by seed"
    assert reported == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [(row.cell.name, row.seeds) for row in rows] == [("a", (0, 1)), ("b", (0, 1))]
    assert rows[1].values("rounds") == [3, 3]
    for row in rows:
        for outcome in row.outcomes:
            assert outcome.folder.read_run().seed == outcome.seed
            assert outcome.result == outcome.folder.read_result()
            assert outcome.measured
            assert outcome.measured.student
            assert outcome.measured.student.top1.value == outcome.folder.read_result().student_accuracy


def test_a_finished_run_is_not_done_again_and_seeds_may_be_added(tmp_path: Path, examples: Images) -> None:
    cell = make_cell(tmp_path, "a", measure=measure_on(examples))
    (first,) = sweep([cell], (0,))
    files = [first.outcomes[0].folder.student, first.outcomes[0].folder.measurement]
    before = [file.stat().st_mtime_ns for file in files]
    (row,) = sweep([cell], (0, 1))
    assert [file.stat().st_mtime_ns for file in files] == before
    assert row.outcomes[0].result == first.outcomes[0].result
    assert len(row.values("student_accuracy")) == 2
    other = replace(examples, labels=torch.zeros(20, dtype=torch.int64))
    (again,) = sweep([replace(cell, measure=measure_on(other))], (0,))
    assert again.outcomes[0].measured
    assert again.outcomes[0].measured.fingerprint == other.fingerprint, "other examples are measured on"


def test_walks_by_another_plan_are_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: Images) -> None:
    walked: list[int] = []

    def walk(folder: RunFolder, _examples: Images, *, transition: TransitionPlan, **_: Any) -> None:
        walked.append(transition.num_steps)
        one = Estimate(value=0.5, low=0.4, high=0.6)
        curves = Transition(
            guided_by="student",
            num_images=1,
            num_steps=transition.num_steps,
            step_size=transition.step_size,
            seed=0,
            error=one,
            guide=(0.1,),
            follower=(0.1,),
            guide_margin=(0.0,),
            follower_margin=(0.0,),
        )
        folder.write_measurement(
            MeasurementRecord(
                images="",
                fingerprint=examples.fingerprint,
                num_images=1,
                teacher=None,
                student=None,
                agreement=one,
                divergence=one,
                classes=(),
                confusion=None,
                transition=curves,
            )
        )

    monkeypatch.setattr(module, "measure_run", walk)
    for steps in (1, 2, 2):
        plan = TransitionPlan(num_images=1, num_steps=steps)
        measured = measure_on(examples, transition=plan)(RunFolder(tmp_path), tiny_transfer())
        assert measured.transition
        assert measured.transition.num_steps == steps
    assert walked == [1, 2]
    measure_on(examples)(RunFolder(tmp_path), tiny_transfer())
    assert walked == [1, 2], "whoever wants no walk is served by any measurement"


def test_one_that_was_stopped_continues_to_the_same_student(tmp_path: Path) -> None:
    def stop(completed: int, _row: object) -> None:
        if completed == 2:
            raise KeyboardInterrupt

    (whole,) = sweep([make_cell(tmp_path, "whole", 4)], (0,))
    stopped = make_cell(tmp_path, "stopped", 4)
    with pytest.raises(KeyboardInterrupt):
        sweep([stopped], (0,), follow=module.followed_by(stop))
    (row,) = sweep([stopped], (0,))
    student, expected = (each.outcomes[0].folder.student.read_bytes() for each in (row, whole))
    assert student == expected


def test_a_run_that_collapses_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, examples: Images
) -> None:
    run = training.run

    def run_or_fail(transfer: Transfer, options: RunOptions, **more: Any) -> Any:
        if options.folder.parent.name == "bad" and transfer.seed == 0:
            raise CollapseError(DIVERGES)
        return run(transfer, options, **more)

    monkeypatch.setattr(module, "run", run_or_fail)
    cells = [make_cell(tmp_path, name, measure=measure_on(examples)) for name in ("bad", "good")]
    with pytest.raises(CollapseError, match=DIVERGES):
        sweep(cells, (0,))
    bad, good = sweep(cells, (0, 1), skip_collapsed=True)
    assert f"bad seed 0 came to no end: {DIVERGES}" in caplog.text
    assert (bad.outcomes[0].result, bad.outcomes[0].measured) == (None, None)
    assert len(bad.values("student_accuracy")) == 1
    assert len(good.values("student_accuracy")) == 2


def test_a_cells_own_teacher_is_trained_once_for_each_seed(tmp_path: Path) -> None:
    trained: list[int] = []

    def train(seed: int) -> torch.nn.Module:
        trained.append(seed)
        return make_conv_teacher()

    cell = make_cell(tmp_path, "a", train_teacher=train)
    (row,), _ = sweep([cell], (3, 4)), sweep([cell], (3, 4))
    assert trained == [3, 4]
    assert all((outcome.folder.path / TEACHER_FILE).is_file() for outcome in row.outcomes)


def test_mean_and_deviation_are_over_seeds() -> None:
    values = [0.5, 0.7, 0.9]
    mean, deviation = mean_and_deviation(values)
    assert mean == fmean(values)
    assert deviation == stdev(values)
    assert deviation is not None
    assert math.isclose(deviation, 0.2), "of a sample, with one less than all below"
    assert mean_and_deviation([0.5]) == (0.5, None)
    assert format_spread(0.5, None, 1) == "0.5"
    assert format_spread(0.5, 0.25, 2) == "0.50 +- 0.25"
