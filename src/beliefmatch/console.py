"""What a person sees in the terminal: progress while a run works, and tables of what came out."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

SHOWN = {
    "generator_loss": "generator",
    "student_loss": "student",
}


def is_first_process() -> bool:
    """Whether this is the process that a person started, not one that it started for another device."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


class RunProgress:
    """A progress bar with losses and time left; where there is no terminal, now and then a line with the same."""

    def __init__(self, num_rounds: int) -> None:
        self.console = Console(stderr=True)
        self.num_rounds = num_rounds
        self.began: float | None = None
        self.first_round = 0
        self.last_line = 0
        self.progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=14),
            TextColumn("{task.fields[losses]}"),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self.task = self.progress.add_task("rounds", total=num_rounds, losses="", left="")

    def __call__(self, completed: int, row: dict[str, Any] | None) -> None:
        """Show a completed round, and its losses where they were logged."""
        if self.began is None:
            self.began, self.first_round = time.monotonic(), completed
            if self.console.is_terminal:
                self.progress.start()
        left = self._left(completed)
        self.progress.update(self.task, completed=completed, left=left)
        if row is not None:
            losses = "  ".join(f"{label} {row[name]:.3f}" for name, label in SHOWN.items() if name in row)
            self.progress.update(self.task, losses=losses)
            if not self.console.is_terminal and (
                completed >= self.last_line + self.num_rounds / 10 or completed == self.num_rounds
            ):
                self.last_line = completed
                sys.stderr.write(f"round {completed}/{self.num_rounds}  {losses}  {left}\n")

    def _left(self, completed: int) -> str:
        done = completed - self.first_round
        if self.began is None or done == 0:
            return ""
        seconds = (time.monotonic() - self.began) / done * (self.num_rounds - completed)
        return f"{timedelta(seconds=round(seconds))} left"

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.progress.stop()


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One line of the comparison table. None: not measured."""

    name: str
    parameters: int
    macs: int
    bytes: int
    accuracy: float | None
    agreement: float | None
    seconds: float | None


def comparison_table(rows: Sequence[NetworkRow]) -> Table:
    """Set networks side by side; a dash stands for what was not measured."""
    table = Table()
    table.add_column("")
    for heading in ("parameters", "MACs", "bytes", "accuracy", "agreement", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f} s"
        table.add_row(
            row.name,
            f"{row.parameters:,}",
            _short(row.macs),
            f"{_short(row.bytes)}B",
            percent(row.accuracy),
            percent(row.agreement),
            seconds,
        )
    return table


def _short(count: int) -> str:
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {prefix}"
    return f"{count} "


def percent(fraction: float | None) -> str:
    """Show a fraction in percent, or a dash where it was not measured."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
