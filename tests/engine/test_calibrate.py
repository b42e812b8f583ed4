"""How many rounds a time holds, by a clock that only rounds move."""

from pathlib import Path
from typing import Any

import pytest

from beliefmatch import RunOptions
from beliefmatch.engine import calibrate as calibrating
from beliefmatch.engine.calibrate import calibrate
from tiny import tiny_transfer

START, FIRST, EACH = 5.0, 40.0, 2.0


class Clocked:
    """Rounds of which the first takes longer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done = 0

    def begin(self, *_: Any) -> "Clocked":
        self.now += START
        return self

    def next(self) -> None:
        self.now += EACH if self.done else FIRST
        self.done += 1

    def end(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize("seconds", [145.0, 1045.0])
def test_a_first_round_that_takes_longer_is_paid_out_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    rounds = Clocked()
    monkeypatch.setattr(calibrating, "_start", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    found = calibrate(tiny_transfer(), RunOptions(folder=tmp_path / "none", accelerator="cpu"), seconds)
    assert (found.seconds_per_round, found.opening_seconds) == (EACH, FIRST - EACH)
    assert START + FIRST + (found.rounds - 1) * EACH == pytest.approx(seconds, abs=EACH)


def test_a_time_that_a_first_round_fills_holds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Clocked()
    monkeypatch.setattr(calibrating, "_start", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    assert calibrate(tiny_transfer(), RunOptions(folder=tmp_path / "none", accelerator="cpu"), 10.0).rounds == 1
