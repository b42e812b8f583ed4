"""The command `report`: run folders on one page."""

from pathlib import Path

import tyro

from beliefmatch.cli.printing import print_text
from beliefmatch.errors import SettingsError


def report(runs: tyro.conf.Positional[tuple[Path, ...]], /, *, out: Path | None = None) -> None:
    """Write one page about one run or several, side by side: report.html in the first run's folder.

    Args:
        runs: Run folders. Those that differ in their seed alone are averaged.
        out: Where to write the page instead.
    """
    from beliefmatch.report.page import write_report

    if not runs:
        raise SettingsError("name at least one run folder: beliefmatch report RUN [RUN ...]")
    print_text(f"wrote {write_report(runs, out=out)}")
