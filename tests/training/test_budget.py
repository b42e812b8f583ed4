"""How many rounds a time holds, by a clock that only rounds move."""

from pathlib import Path
from typing import Any

import pytest

from beliefmatch import RunOptions
from beliefmatch.training import budget
from beliefmatch.training.budget import END_SECONDS, time_rounds, time_run
from beliefmatch.training.pace import Pace
from beliefmatch.training.transfer import Transfer
from tiny import tiny_transfer

START, FIRST, EACH = 5.0, 40.0, 2.0


class Clocked:
    """Rounds of which the first takes longer, and which are twice as fast where they were compiled."""

    def __init__(self, compiling_pays_from: float = float("inf")) -> None:
        self.now = 0.0
        self.done = 0
        self.compiling_pays_from = compiling_pays_from
        self.begun: list[tuple[str, int]] = []

    def begin(self, transfer: Transfer, _fabric: Any, execution: str, *, contiguous: bool) -> "Clocked":
        assert not contiguous
        self.now += START
        self.done = 0
        self.begun.append((execution, transfer.rounds))
        return self

    def compiling_pays(self, num_rounds: int) -> bool:
        """Whether so many are enough."""
        return num_rounds >= self.compiling_pays_from

    def next(self) -> None:
        each = EACH / 2 if self.begun[-1][0] == "auto" else EACH
        self.now += each if self.done else FIRST
        self.done += 1

    def close(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize("seconds", [145.0, 1045.0])
def test_a_first_round_that_takes_longer_is_paid_out_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    rounds = Clocked()
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    found = time_rounds(tiny_transfer(), RunOptions(folder=tmp_path / "none", accelerator="cpu"), seconds)
    assert (found.seconds_per_round, found.opening_seconds) == (EACH, FIRST - EACH)
    assert START + FIRST + (found.rounds - 1) * EACH == pytest.approx(seconds, abs=EACH)


def test_where_compiling_pays_compiled_rounds_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Clocked(compiling_pays_from=100)
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    found = time_rounds(tiny_transfer(), RunOptions(folder=tmp_path / "none", accelerator="cpu"), 1045.0)
    assert [execution for execution, _ in rounds.begun] == ["captured", "auto"]
    assert rounds.begun[1][1] == pytest.approx(500, abs=1)
    assert found.rounds == pytest.approx(1000, abs=1)


def test_a_time_that_a_first_round_fills_holds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Clocked()
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    assert time_rounds(tiny_transfer(), RunOptions(folder=tmp_path / "none", accelerator="cpu"), 10.0).rounds == 1


@pytest.mark.parametrize(("seconds", "done", "each"), [(145.0, 1, FIRST), (200.0, 11, EACH), (1045.0, 34, EACH)])
def test_timing_that_is_part_of_the_time_does_not_spend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, done: int, each: float
) -> None:
    rounds = Clocked()
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    options = RunOptions(folder=tmp_path / "none", accelerator="cpu")
    found = time_rounds(tiny_transfer(), options, seconds, is_within=True)
    assert rounds.done == done
    assert found.seconds_per_round == each


def test_what_was_spent_before_is_part_of_the_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Clocked()
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    monkeypatch.setattr("time.monotonic", lambda: rounds.now)
    options = RunOptions(folder=tmp_path / "none", accelerator="cpu")
    rounds.now = before = 300.0
    found = time_run(tiny_transfer(), options, 20.0, began=0.0)
    timing = rounds.now - before
    spent = before + timing + START + FIRST - EACH + found.rounds * EACH + END_SECONDS
    assert spent == pytest.approx(20 * 60, abs=EACH)
    assert time_run(tiny_transfer(rounds=7), options, None, began=0.0).rounds == 7


def test_minutes_that_one_round_fills_are_said_to_be_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = Clocked()
    monkeypatch.setattr(budget, "begin_rounds", rounds.begin)
    monkeypatch.setattr("time.perf_counter", lambda: rounds.now)
    monkeypatch.setattr("time.monotonic", lambda: rounds.now)
    options = RunOptions(folder=tmp_path / "none", accelerator="cpu")
    assert time_run(tiny_transfer(), options, 20.0, began=0.0).rounds > 1
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    rounds.now = 0.0
    assert time_run(tiny_transfer(), options, 0.5, began=0.0).rounds == 1
    assert f"one round will take about {START + FIRST + START + FIRST + END_SECONDS:.0f} seconds" in caplog.text


def test_a_machine_that_turns_slower_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    pace = Pace(1.0, 100, clock=lambda: now)
    for completed in range(1, 100):
        now += 0.6 if completed < 5 else 1.0
        pace(completed, None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "all 100 will take about 1.5 minutes instead of 1." in caplog.text
    caplog.clear()
    pace = Pace(1.0, 100, clock=lambda: now)
    for completed in range(1, 100):
        now += 0.6
        pace(completed, None)
    assert not caplog.records
