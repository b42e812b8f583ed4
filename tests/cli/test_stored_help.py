"""Helps that are stored say what the parser would, and are shown without loading torch.

BELIEFMATCH_GOLDEN=write writes them anew.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from beliefmatch import cli, recipes
from beliefmatch.cli import transfer as command
from beliefmatch.cli.stored_help import WIDTH, stored_help

PAGES = Path(command.__file__).parent / "help_pages"


def made_help(name: str) -> str:
    """Return what the parser says of a recipe, with its paragraphs wrapped."""
    columns, out = os.environ.get("COLUMNS"), io.StringIO()
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            command._parse(name, recipes.ALL[name], ["--help"])
    finally:
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in out.getvalue().splitlines()]
    wrapped = [part for line in lines for part in _wrap(line)]
    return "\n".join(wrapped).strip() + "\n"


def _wrap(line: str) -> list[str]:
    # A command is copied from the terminal, which breaks its line without a new one.
    if line.startswith("Example: "):
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent="  " if line.startswith("- ") else "") or [""]


@pytest.mark.parametrize("name", recipes.ALL)
def test_the_help_of_a_recipe_is_what_the_parser_says(name: str) -> None:
    page = PAGES / f"{name}.txt"
    if os.environ.get("BELIEFMATCH_GOLDEN") == "write":
        page.write_text(made_help(name))
    assert page.read_text() == made_help(name), "BELIEFMATCH_GOLDEN=write pytest tests/cli/test_stored_help.py"


def test_every_recipe_has_one() -> None:
    assert {page.stem for page in PAGES.iterdir()} == set(recipes.ALL)


@pytest.mark.parametrize(
    ("recipe", "typed", "columns", "is_stored"),
    [
        ("best", ["--help"], 80, True),
        ("best", ["-h"], 200, True),
        ("best", ["--help"], 79, False),
        ("best", ["--help", "--seed", "1"], 80, False),
        ("best", [], 80, False),
        ("../help_pages/best", ["--help"], 80, False),
        ("unknown", ["--help"], 80, False),
    ],
)
def test_when_it_is_shown(
    recipe: str, typed: list[str], columns: int, *, is_stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    assert (stored_help(recipe, typed) is not None) is is_stored


def test_it_is_shown_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["transfer", "best", "--help"]) == 0
    assert "--minutes" in capsys.readouterr().out
    code = "import sys, beliefmatch.cli as cli; cli.main(['transfer', 'best', '-h']); assert 'torch' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
