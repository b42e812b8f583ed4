"""Helps of recipes that are read from files, since making one loads torch and looks at all settings, some seconds.

`tests/cli/test_stored_help.py` holds the files to what the parser says, and writes them anew.
"""

import shutil
from collections.abc import Sequence
from importlib.resources import files

WIDTH = 80
"""Columns that a stored help takes."""


def stored_help(recipe: str, arguments: Sequence[str]) -> str | None:
    """Return the help of a recipe where nothing else was typed; None where the parser is to make it.

    Args:
        recipe: its name, as typed.
        arguments: what was typed after it.
    """
    if list(arguments) not in (["-h"], ["--help"]) or shutil.get_terminal_size((WIDTH, 24)).columns < WIDTH:
        return None
    page = files("beliefmatch.cli") / "help_pages" / f"{recipe}.txt"
    return page.read_text(encoding="utf-8") if recipe.isidentifier() and page.is_file() else None
