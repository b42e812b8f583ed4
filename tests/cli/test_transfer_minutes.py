"""`transfer --minutes`: as many rounds as fit, chosen once, before the first."""

import json
from pathlib import Path

import pytest

from beliefmatch import RunFolder
from beliefmatch.cli import main
from beliefmatch.training import budget
from beliefmatch.training import run as running
from beliefmatch.training.budget import Timing
from tiny import named

WORDS = (
    *("transfer", "noise", "--teacher", named("make_conv_teacher"), "--student", named("make_plain_conv")),
    *("--shape", "1", "8", "8", "--batch-size", "4", "--accelerator", "cpu", "--folder", "run", "--display", "quiet"),
    *("--checkpoint-every", "1"),
)


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Every round takes twenty seconds, and nobody waits for one; return the times that rounds were timed for."""
    asked: list[float] = []

    def time_rounds(_transfer: object, _options: object, seconds: float, *, is_within: bool) -> Timing:
        assert is_within
        asked.append(seconds)
        return Timing(rounds=99, seconds_per_round=20.0, start_seconds=0.0, device="cpu", threads=1)

    monkeypatch.setattr(budget, "time_rounds", time_rounds)
    monkeypatch.chdir(tmp_path)
    return asked


def transfer(*more: str) -> int:
    return main([*WORDS, *more])


def kept() -> tuple[int, float | None]:
    settings = json.loads(Path("run", "run.json").read_text())["settings"]["transfer"]
    return settings["rounds"], settings["minutes"]


def test_as_many_rounds_as_fit_are_done(timed: list[float]) -> None:
    assert transfer("--minutes", "1") == 0
    assert (kept(), RunFolder(Path("run")).read_result().rounds) == ((3, 1.0), 3)
    assert timed == [60.0]


def test_a_run_that_continues_keeps_their_number(timed: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(running, "finish", stop)
        assert transfer("--minutes", "1") == 130
    monkeypatch.setattr(budget, "time_rounds", None)
    assert transfer("--minutes", "1", "--resume") == 0
    assert (kept(), RunFolder(Path("run")).read_result().rounds) == ((3, 1.0), 3)
    assert timed == [60.0]


def test_another_time_or_none_is_another_run(timed: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer("--minutes", "1") == 0
    assert transfer("--minutes", "2", "--resume") == 2
    assert "begun with other settings: transfer.minutes was 1.0, is 2.0 now: take those" in capsys.readouterr().err
    assert transfer("--rounds", "3", "--resume") == 2
    assert "transfer.minutes was 1.0, is None now" in capsys.readouterr().err
    assert timed == [60.0]


def test_a_folder_in_use_is_found_before_anything_is_timed(
    timed: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert transfer("--rounds", "1") == 0
    assert (kept(), timed) == ((1, None), [])
    assert transfer("--minutes", "1") == 2
    assert "already holds a run: add --resume" in capsys.readouterr().err
    assert timed == []
