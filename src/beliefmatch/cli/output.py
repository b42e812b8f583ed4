"""What several commands print."""

import logging
from dataclasses import asdict
from pathlib import Path

from beliefmatch.cli.progress import print_text
from beliefmatch.training.progress import Display, print_json


def set_display(display: Display) -> None:
    """Raise the level of the log to warnings where progress is not printed in full: a warning is always shown."""
    if display != "full":
        root = logging.getLogger()
        root.setLevel(max(root.level, logging.WARNING))


def print_run(path: Path, display: Display, *, teacher_seconds: float | None = None) -> None:
    """Write a table of the two networks of a finished run to the terminal, or the result as JSON."""
    from beliefmatch.runs.folder import RunFolder

    result = RunFolder(path).read_result()
    if display == "json":
        print_json({"folder": str(path), **asdict(result)})
    elif display == "full":
        from rich.console import Console

        from beliefmatch.cli.tables import result_table

        Console().print(result_table(result, teacher_seconds=teacher_seconds))
        for collapse in result.collapses:
            print_text(f"collapsed ({collapse.kind}) in round {collapse.round}, attempt {collapse.attempt + 1}")
