"""A run that collapses says so, and does what was asked for then: goes on, stops, or begins again."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from test_command import error_line

from beliefmatch import BeliefMatchError, RunFolder, RunOptions, compress, run
from beliefmatch.cli import main
from beliefmatch.errors import CollapseError, DivergedError
from beliefmatch.optimisers import Adam
from beliefmatch.report.page import write_report
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.collapse_policy import MAX_RESTARTS, seed_of
from beliefmatch.training.transfer import Transfer
from collapsing import ROUNDS, collapsing_transfer, hurried_transfer, named
from report.html_page import Page
from tiny import tiny_transfer, vector_transfer

KINDS = ("one_class", "constant_source", "pinned", "diverged")
NAMED_IN = 41
Action = Literal["continue", "stop", "restart"]


def options(folder: Path, action: Action = "continue", *, resume: bool = False) -> RunOptions:
    return RunOptions(
        folder=folder,
        resume=resume,
        on_collapse=action,
        accelerator="cpu",
        precision="32-true",
        checkpoint_every=6,
        picture_every=20,
    )


def found(folder: Path) -> list[tuple[str, int, str]]:
    return [(each.kind, each.attempt, each.action) for each in RunFolder(folder).read_collapses()]


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_run_that_goes_on_says_once_that_it_collapsed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    result = run(collapsing_transfer(kind), options(tmp_path / "run"))
    assert result.rounds == ROUNDS
    assert [(each.kind, each.round, each.since, each.action) for each in result.collapses] == [
        (kind, NAMED_IN, 21, "continue")
    ]
    assert RunFolder(tmp_path / "run").read_result() == result
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert said[0].startswith(f"collapse ({kind}) in round {NAMED_IN}: since round 21 ")
    last = RunFolder(tmp_path / "run").read_metrics()[-1]
    assert last["confidence_gap"] == pytest.approx(last["teacher_confidence"] - last["student_confidence"])
    assert (last["batch_diversity"] < 0.01) == (kind == "constant_source")


@pytest.mark.parametrize("kind", KINDS[:3])
def test_what_learns_too_fast_collapses_and_is_named(tmp_path: Path, kind: str) -> None:
    result = run(hurried_transfer(kind), options(tmp_path / "run"))
    assert [each.kind for each in result.collapses] == [kind]


def test_a_student_that_is_sure_of_nothing_is_pinned_too(tmp_path: Path) -> None:
    result = run(collapsing_transfer("unsure"), options(tmp_path / "run"))
    assert [(each.kind, each.round) for each in result.collapses] == [("pinned", NAMED_IN)]
    assert RunFolder(tmp_path / "run").read_metrics()[-1]["student_confidence"] == pytest.approx(0.1, abs=0.01)


def test_images_that_are_all_alike_are_named_although_they_are_cropped(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "alike.npz", images=image.repeat(40, axis=0))
    source = Unlabelled(images=tmp_path / "alike.npz", augmentation="crop_flip")
    result = run(replace(collapsing_transfer("equal"), source=source), options(tmp_path / "run"))
    assert [(each.kind, each.round) for each in result.collapses] == [("constant_source", NAMED_IN)]


def test_a_student_that_stays_as_it_is_learns_nothing(tmp_path: Path) -> None:
    result = run(collapsing_transfer("learns_nothing"), options(tmp_path / "run"))
    assert [(each.kind, each.round) for each in result.collapses] == [("learns_nothing", NAMED_IN)]
    assert "its parameters stay as they are" in result.collapses[0].seen
    # A student that is its teacher, and one that learns.
    assert run(collapsing_transfer("equal"), options(tmp_path / "equal")).collapses == ()
    learning = replace(
        collapsing_transfer("learns_nothing"), student_optimiser=Adam(learning_rate=0.01, gradient_clip=5.0)
    )
    assert run(learning, options(tmp_path / "learning")).collapses == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_stops_keeps_what_the_report_needs(tmp_path: Path, kind: str) -> None:
    folder = RunFolder(tmp_path / "run")
    expected = DivergedError if kind == "diverged" else CollapseError
    with pytest.raises(expected, match=rf"collapse \({kind}\).* Try a lower .*on_collapse='restart'") as caught:
        run(collapsing_transfer(kind), options(folder.path, "stop"))
    assert "\n" not in str(caught.value)
    assert found(folder.path) == [(kind, 0, "stop")]
    assert not folder.result.exists()
    if kind != "diverged":
        assert folder.checkpoint.is_file()
        assert folder.read_metrics()[-1]["round"] == NAMED_IN
    # Resumed, it goes the same way, or the other that was asked for.
    with pytest.raises(expected):
        run(collapsing_transfer(kind), options(folder.path, "stop", resume=True))
    assert found(folder.path) == [(kind, 0, "stop")]
    if kind != "diverged":
        assert run(collapsing_transfer(kind), options(folder.path, resume=True)).rounds == ROUNDS
        assert found(folder.path) == [(kind, 0, "continue")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_begins_again_at_most_three_times(tmp_path: Path, kind: str) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(CollapseError, match=f"It began again {MAX_RESTARTS} times"):
        run(collapsing_transfer(kind), options(folder.path, "restart"))
    assert found(folder.path) == [(kind, attempt, "restart") for attempt in range(MAX_RESTARTS)] + [
        (kind, MAX_RESTARTS, "stop")
    ]
    assert [each.seed for each in folder.read_collapses()] == [0, 1000, 2000, 3000]
    for attempt in range(1, MAX_RESTARTS + 1):
        assert (folder.path / f"metrics_attempt{attempt}.jsonl").is_file()
        assert (folder.path / f"pseudo_attempt{attempt}").is_dir()


def test_a_loss_that_is_not_finite_ends_a_run_that_was_told_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="stopped being finite in round"):
        run(collapsing_transfer("diverged"), options(tmp_path / "run"))
    assert found(tmp_path / "run") == [("diverged", 0, "stop")]


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose first student collapses and whose second does not."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "whole")
    run(collapsing_transfer("unlucky"), options(folder.path, "restart"))
    return folder


def test_a_run_that_begins_again_is_the_run_of_the_derived_seed(restarted: RunFolder, tmp_path: Path) -> None:
    result = restarted.read_result()
    assert [(each.kind, each.action) for each in result.collapses] == [("one_class", "restart")]
    assert result.seconds > result.collapses[0].seconds > 0
    seeded = RunFolder(tmp_path / "seeded")
    run(collapsing_transfer("unlucky", seed=seed_of(0, 1)), options(seeded.path))
    assert seeded.student.read_bytes() == restarted.student.read_bytes()
    assert untimed(restarted) == untimed(seeded)
    lost = (restarted.path / "metrics_attempt1.jsonl").read_text().splitlines()
    assert json.loads(lost[-1])["round"] == NAMED_IN
    assert [path.name for path in sorted((restarted.path / "pseudo_attempt1").iterdir())] == [
        "round_000020.png",
        "round_000040.png",
    ]
    assert restarted.read_run().seed == 0


def untimed(folder: RunFolder) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in folder.read_metrics()]


class KilledError(Exception):
    pass


def test_a_run_that_is_killed_in_any_attempt_continues_there(restarted: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "killed")
    seen: list[int] = []

    def kill_at(moment: int) -> Callable[[int, Any], None]:
        def observe(completed: int, _row: Any) -> None:
            seen.append(completed)
            if len(seen) == moment:
                raise KilledError

        return observe

    for moment in (10, 50, 20):
        seen.clear()
        with pytest.raises(KilledError):
            run(
                collapsing_transfer("unlucky"),
                options(folder.path, "restart", resume=True),
                on_round=kill_at(moment),
            )
    run(collapsing_transfer("unlucky"), options(folder.path, "restart", resume=True))
    assert folder.student.read_bytes() == restarted.student.read_bytes()
    assert untimed(folder) == untimed(restarted)
    assert found(folder.path) == [("one_class", 0, "restart")]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_kill_between_two_attempts_changes_nothing(
    restarted: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """The collapse is on file, and the old attempt is not, or not wholly, put away."""
    folder, renamed = RunFolder(tmp_path / "killed"), []
    rename = Path.rename

    def kill(path: Path, target: Path) -> Path:
        if len(renamed) == writes:
            raise KilledError
        renamed.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", kill)
    if writes < 2:
        with pytest.raises(KilledError):
            run(collapsing_transfer("unlucky"), options(folder.path, "restart"))
        monkeypatch.undo()
    run(collapsing_transfer("unlucky"), options(folder.path, "restart", resume=True))
    assert folder.student.read_bytes() == restarted.student.read_bytes()
    assert untimed(folder) == untimed(restarted)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_a_divergence_leaves_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    with pytest.raises(DivergedError):
        run(collapsing_transfer("diverged"), options(whole.path))
    write = RunFolder.write_collapses

    def kill(folder: RunFolder, collapses: list[Any]) -> None:
        if moment == "after":
            write(folder, collapses)
        raise KilledError

    monkeypatch.setattr(RunFolder, "write_collapses", kill)
    with pytest.raises(KilledError):
        run(collapsing_transfer("diverged"), options(folder.path))
    monkeypatch.setattr(RunFolder, "write_collapses", write)
    with pytest.raises(DivergedError):
        run(collapsing_transfer("diverged"), options(folder.path, resume=True))
    recorded = [[replace(each, seconds=0.0) for each in one.read_collapses()] for one in (whole, folder)]
    assert recorded[0] == recorded[1] != []
    assert untimed(folder) == untimed(whole)


def test_the_command_ends_with_one_line_and_the_report_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    words = [
        *("transfer", "digits", "--teacher.architecture", named("make_teacher")),
        *("--student.architecture", named("make_one_class"), "--optimiser.learning-rate", "1e-9"),
        *("--source.learning-rate", "1e-9", "--source.noise-size", "6", "--source.student-steps", "10"),
        *("--source.generator", named("make_constant_generator")),
        *("--rounds", str(ROUNDS), "--batch-size", "32", "--accelerator", "cpu", "--folder", str(folder)),
    ]
    assert main([*words, "--on-collapse", "stop"]) == 2
    line = error_line(capsys)
    assert "collapse (constant_source) in round 41: since round 21 all inputs of a batch are alike" in line
    assert f"beliefmatch report {folder}" in line
    page = Page(write_report([folder]))
    assert "All inputs of a batch became alike in round 41." in page.text
    assert "The run was stopped there." in page.text
    told = page.alternatives
    assert any(text.startswith("Confidence gap") for text in told)
    assert any(text.startswith("Batch diversity") for text in told)
    assert main([*words, "--resume", "--display", "quiet"]) == 0
    assert "collapse (constant_source) in round 41" in caplog.text, "quiet shows errors, and this is one"
    assert "The run went on" in Page(write_report([folder])).text


@pytest.mark.parametrize("transfer", [tiny_transfer(rounds=60), vector_transfer(rounds=60)], ids=["images", "vectors"])
def test_a_healthy_run_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: Transfer) -> None:
    result = run(transfer, options(tmp_path / "run", "stop"))
    assert result.collapses == ()
    assert not RunFolder(tmp_path / "run").collapses.exists()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_damaged_list_of_collapses_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_collapses() == []
    for content in ('{"collapses": [{"kind": 1}]}', "[]", "{}"):
        folder.collapses.write_text(content)
        with pytest.raises(BeliefMatchError, match=r"collapses\.json"):
            folder.read_collapses()


class OneClass(torch.nn.Module):
    """A teacher that gives class 3 to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs) + torch.tensor([0.0, 0.0, 0.0, 100.0])


@pytest.mark.parametrize("teacher", [OneClass, lambda: torch.nn.Linear(8, 4)], ids=["one class", "several"])
def test_a_teacher_of_one_class_is_named_in_the_first_round(
    teacher: Callable[[], torch.nn.Module], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    setup = {"shape": (8,), "recipe": "noise", "rounds": 2, "batch_size": 64, "folder": tmp_path / "run"}
    compress(teacher(), torch.nn.Linear(8, 4), progress=False, **setup)
    assert caplog.text.count("the teacher gives class 3 to 100.0 % of the") == (teacher is OneClass)
