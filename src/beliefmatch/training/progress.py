"""Progress of a run: a bar in a terminal or a notebook, lines where there is neither, or JSON lines for scripts."""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from html import escape
from typing import Any, Literal

Display = Literal["full", "quiet", "json"]
"""full: progress and tables. quiet: warnings and errors alone. json: one JSON object a line on the standard output."""

LOSSES = {"generator_loss": "generator", "points_loss": "points", "student_loss": "student"}
CONFIDENCES = ("teacher_confidence", "student_confidence")
FIRST_MINUTE, SOON, LATER = 60.0, 10.0, 60.0
"""Seconds: within the first minute a line is written every ten seconds, and then every minute."""
NOTEBOOK_SECONDS = 0.5
"""Seconds between two changes of the bar in a notebook."""


def print_json(content: dict[str, Any]) -> None:
    """Write an object as one line to the standard output, at once."""
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")
    sys.stdout.flush()


class RunProgress:
    """Follows a run: a bar with losses, both confidences, speed and time left; lines of the same where there is no
    terminal; logged rows as JSON; or nothing.
    """

    def __init__(self, num_rounds: int, display: Display = "full", *, name: str = "") -> None:
        # Whoever asks for help needs no progress bar, and should not wait for one.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        self.console = Console(stderr=True)
        self.num_rounds = num_rounds
        self.display: Display = display
        self.name = name
        self.began: float | None = None
        self.first_round = 0
        self.last_line: float | None = None
        self.last_completed = -1
        self.losses = ""
        self.notebook = NotebookBar() if self.console.is_jupyter else None
        self.has_bar = self.console.is_terminal and self.notebook is None
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
            self.began, self.last_line = None, None
        self.last_completed = completed
        if self.began is None:
            self.began, self.first_round = time.monotonic(), completed
            if self.has_bar:
                if self.name:
                    self.console.print(self.name, highlight=False, markup=False)
                self.progress.start()
        if row is not None:
            self.losses = describe_losses(row)
        speed = self._speed(completed)
        if self.notebook:
            text = "  ".join(filter(None, (self.name, speed, self.losses)))
            self.notebook.show(completed, self.num_rounds, text)
        elif self.has_bar:
            # On two lines: even a narrow terminal has room for all of it then.
            self.progress.update(self.task, completed=completed, text=f"{speed}\n{self.losses}")
        elif self._line_is_due(completed):
            name = f"{self.name}  " if self.name else ""
            sys.stderr.write(f"{name}round {completed}/{self.num_rounds}  {self.losses}  {speed}\n")

    def _line_is_due(self, completed: int) -> bool:
        """Whether a line is to be written now; if so, note when."""
        assert self.began is not None
        now = time.monotonic()
        every = SOON if now - self.began < FIRST_MINUTE else LATER
        due = completed == self.num_rounds or now - (self.last_line or self.began) >= every
        if due:
            self.last_line = now
        return due

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
        if self.has_bar:
            self.progress.stop()


class NotebookBar:
    """A bar below the cell of a notebook that runs; nothing but IPython, which every notebook has, is needed."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.changed = 0.0

    def show(self, completed: int, num_rounds: int, text: str) -> None:
        """Show how many rounds are completed; at most twice a second, and at the end."""
        from IPython.display import HTML, display  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        now = time.monotonic()
        if self.handle is not None and completed < num_rounds and now - self.changed < NOTEBOOK_SECONDS:
            return
        self.changed = now
        bar = f'<progress value="{completed}" max="{num_rounds}"></progress>'
        content = HTML(f"<div>{bar} <code>round {completed}/{num_rounds}  {escape(text)}</code></div>")
        if self.handle is None:
            self.handle = display(content, display_id=True)
        else:
            self.handle.update(content)


def follow_runs(display: Display) -> Callable[[str, int], RunProgress]:
    """Return what makes the progress of each of several runs, from its name and number of rounds."""
    return lambda name, num_rounds: RunProgress(num_rounds, display, name=name)


def describe_losses(row: dict[str, Any]) -> str:
    """Return losses, and how sure teacher and student are or how near their numbers, in one short text."""
    losses = [f"{label} {row[name]:.3f}" for name, label in LOSSES.items() if name in row]
    if all(name in row for name in CONFIDENCES):
        losses.append("confidence {:.2f} / {:.2f}".format(*(row[name] for name in CONFIDENCES)))
    if "batch_r2" in row:
        losses.append(f"R\N{SUPERSCRIPT TWO} {row['batch_r2']:.3f}")
    return "  ".join(losses)
