"""What several commands print."""

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from beliefmatch.cli.printing import is_first_process, print_text
from beliefmatch.training.progress import Display, print_json

if TYPE_CHECKING:
    from rich.table import Table

WIDEST, UNBOUNDED = 120, 10_000
"""Columns of a file or a pipe that words may take, and more than any table needs."""


def set_display(display: Display) -> None:
    """Raise the level of the log to warnings where progress is not printed in full: a warning is always shown."""
    if display != "full":
        root = logging.getLogger()
        root.setLevel(max(root.level, logging.WARNING))


def open_table(*, collapse_padding: bool = False) -> "Table":
    """Build a table without edges: a line under its headings is all.

    Args:
        collapse_padding: whether columns stand nearer to each other.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=collapse_padding)


def print_table(table: "Table") -> None:
    """Write a table to the standard output, so wide that no number and no name is cut or broken.

    A terminal that is narrower breaks the lines itself. Where the output is no terminal, columns of words get more room
    than its usual 80 columns, as far as they need it.
    """
    from rich.console import Console
    from rich.measure import Measurement

    # A name may hold brackets, which are no markup.
    console = Console(markup=False)
    unbounded = console.options.update(max_width=UNBOUNDED, width=UNBOUNDED)
    for column in table.columns:
        found = [Measurement.get(console, unbounded, cell) for cell in (column.header, *column.cells)]
        column.min_width = max(cell.maximum if column.no_wrap else cell.minimum for cell in found)
    needed = Measurement.get(console, unbounded, table)
    width = console.width
    if not console.is_terminal and "COLUMNS" not in os.environ:
        width = max(width, min(needed.maximum, WIDEST))
    Console(markup=False, width=max(width, needed.minimum)).print(table)


def say_if_finished(path: Path, display: Display, *, resume: bool) -> None:
    """Say before a run that continues whether it has finished, so that nobody waits for it."""
    from beliefmatch.runs.folder import RunFolder

    if resume and display == "full" and is_first_process() and RunFolder(path).result.is_file():
        print_text(f"the run in {path} has finished; nothing is left to do")


def print_run(path: Path, display: Display, *, teacher_seconds: float | None = None) -> None:
    """Write a table of the two networks of a finished run to the terminal, or the result as JSON."""
    from beliefmatch.runs.folder import RunFolder

    result = RunFolder(path).read_result()
    if display == "json":
        print_json({"folder": str(path), **asdict(result)})
    elif display == "full":
        from beliefmatch.cli.tables import result_table

        folder = RunFolder(path)
        measured = folder.read_measurement()
        numbers = None if measured is None else measured.numbers
        print_table(result_table(result, folder.read_student().task, numbers, teacher_seconds=teacher_seconds))
        for collapse in result.collapses:
            print_text(f"collapsed ({collapse.kind}) in round {collapse.round}, attempt {collapse.attempt + 1}")
