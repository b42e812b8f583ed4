"""What a run shows while it works: lines, JSON, nothing, TensorBoard."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from test_command import error_line, transfer

from beliefmatch.cli import main
from beliefmatch.training.progress import RunProgress, describe_losses


def test_lines_show_losses_confidences_and_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(tmp_path / "run") == 0
    last = [line for line in capsys.readouterr().err.splitlines() if line.startswith("round 4/4")]
    assert len(last) == 1
    for words in ("generator ", "student ", "confidence ", " rounds/s", " left"):
        assert words in last[0]


@pytest.mark.parametrize("names", [("",), ("zero_shot seed 0", "wrn-16-2_-__wrn-16-1_zero-shot__fresh_noise_seed0")])
def test_a_terminal_of_80_columns_shows_all_of_it_and_gets_its_cursor_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    for variable, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(variable, value)
    row = {"generator_loss": -0.184, "student_loss": 5.4371, "teacher_confidence": 1.0, "student_confidence": 0.28}
    for name in names:
        with RunProgress(80_000, name=name) as progress:
            for completed in (12_344, 12_345):
                progress(completed, row)
    shown = capsys.readouterr().err
    for words in (
        *names,
        "12345/80000",
        " rounds/s",
        " left",
        "generator -0.184  student 5.437  confidence 1.00 / 0.28",
    ):
        assert words in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == len(names)


def test_json_is_one_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(tmp_path / "run", display="json") == 0
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row.get("round") for row in rows] == [1, 2, 3, 4, None]
    assert rows[0]["rounds"] == 4
    assert len(rows[0]["teacher_classes"]) == 10
    assert rows[-1]["folder"] == str(tmp_path / "run")
    assert rows[-1]["student_accuracy"] is None
    assert shown.err == ""


def test_quiet_says_nothing_but_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(tmp_path / "run", display="quiet") == 0
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""
    assert transfer(tmp_path / "run", display="quiet") == 2
    assert "already holds a run" in error_line(capsys)


@pytest.mark.parametrize(
    ("command", "way"),
    [("transfer", "the same command with --resume"), ("compare", "the same command continues"), ("measure", None)],
)
def test_an_interrupted_command_says_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, way: str | None
) -> None:
    def interrupt(_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("beliefmatch.cli.main"), "_run_command", interrupt)
    assert main([command]) == 130
    said = capsys.readouterr().err
    assert said == "beliefmatch: interrupted\n" if way is None else way in said


def test_tensorboard_gets_every_logged_row(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert transfer(tmp_path / "run", log="tensorboard", display="quiet") == 0
    read = events.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in read.Scalars("student/loss")] == [1, 2, 3, 4]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert read.Scalars("student/loss")[-1].value == pytest.approx(rows[-1]["student_loss"])


def test_a_missing_extra_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    assert transfer(tmp_path / "run", log="tensorboard") == 2
    assert "pip install 'beliefmatch[tensorboard]'" in error_line(capsys)
    assert not (tmp_path / "run").exists()


def test_an_unknown_display_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--display", "loud"])


def test_a_row_without_a_generator_shows_what_there_is() -> None:
    row: dict[str, Any] = {"student_loss": 1.5}
    assert describe_losses(row) == "student 1.500"
