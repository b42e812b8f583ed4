"""Progress of a run in the terminal, or as JSON lines for scripts."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from beliefmatch.errors import printable

Display = Literal["full", "quiet", "json"]
"""full: progress and tables. quiet: errors alone. json: one JSON object a line on the standard output."""

LOSSES = {"generator_loss": "generator", "points_loss": "points", "student_loss": "student"}
CONFIDENCES = ("teacher_confidence", "student_confidence")


def is_first_process() -> bool:
    """Whether this is the process that a person started, not one that it started for another device."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def print_text(text: str) -> None:
    """Write lines to the standard output, without anything that a terminal would obey."""
    sys.stdout.write("\n".join(map(printable, text.split("\n"))) + "\n")


class PrintableFormatter(logging.Formatter):
    """Writes each message of the log as one line, without anything that a terminal would obey."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging has it
        """Return the record as one printable line; see logging."""
        record.message = printable(record.message)
        return super().formatMessage(record)


def print_json(content: dict[str, Any]) -> None:
    """Write an object as one line to the standard output, at once."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


class RunProgress:
    """Follows a run: a bar with losses, both confidences, speed and time left; lines of the same where there is no
    terminal; logged rows as JSON; or nothing.
    """

    def __init__(self, num_rounds: int, display: Display = "full", *, name: str = "") -> None:
        # Whoever asks for help needs no progress bar, and should not wait for one.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        self.console = Console(stderr=True)
        self.num_rounds = num_rounds
        self.display: Display = display
        self.name = name
        self.began: float | None = None
        self.first_round = 0
        self.last_line = 0
        self.last_completed = -1
        self.losses = ""
        self.progress = Progress(
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(num_rounds)) + 1)),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True)),
            console=self.console,
        )
        self.task = self.progress.add_task("", total=num_rounds, text="")

    def __call__(self, completed: int, row: dict[str, Any] | None) -> None:
        """Update the display to a completed round, and its losses where they were logged."""
        if self.display == "json" and row is not None:
            print_json({"run": self.name, "rounds": self.num_rounds, **row})
        if self.display != "full":
            return
        if completed <= self.last_completed:
            # The run collapsed and began again.
            self.began, self.last_line = None, 0
        self.last_completed = completed
        if self.began is None:
            self.began, self.first_round = time.monotonic(), completed
            if self.console.is_terminal:
                if self.name:
                    self.console.print(self.name, highlight=False, markup=False)
                self.progress.start()
        if row is not None:
            self.losses = describe_losses(row)
        speed = self._speed(completed)
        # On two lines: even a narrow terminal has room for all of it then.
        self.progress.update(self.task, completed=completed, text=f"{speed}\n{self.losses}")
        if row is not None and not self.console.is_terminal:
            self._write_line(completed, f"{self.losses}  {speed}")

    def _write_line(self, completed: int, text: str) -> None:
        if completed >= self.last_line + self.num_rounds / 10 or completed == self.num_rounds:
            self.last_line = completed
            name = f"{self.name}  " if self.name else ""
            sys.stderr.write(f"{name}round {completed}/{self.num_rounds}  {text}\n")

    def _speed(self, completed: int) -> str:
        done = completed - self.first_round
        if self.began is None or done == 0:
            return ""
        seconds = (time.monotonic() - self.began) / done
        left = timedelta(seconds=round(seconds * (self.num_rounds - completed)))
        return f"{1 / max(seconds, 1e-9):.3g} rounds/s  {left} left"

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.progress.stop()


def follow_runs(display: Display) -> Callable[[str, int], RunProgress]:
    """Return what makes the progress of each of several runs, from its name and number of rounds."""
    return lambda name, num_rounds: RunProgress(num_rounds, display, name=name)


def describe_losses(row: dict[str, Any]) -> str:
    """Return losses, and how sure teacher and student are, in one short text."""
    losses = [f"{label} {row[name]:.3f}" for name, label in LOSSES.items() if name in row]
    if all(name in row for name in CONFIDENCES):
        losses.append("confidence {:.2f} / {:.2f}".format(*(row[name] for name in CONFIDENCES)))
    return "  ".join(losses)
