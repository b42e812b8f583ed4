"""Settings on the page: those that say something are in sight, all of them are folded away."""

import json
import re
from pathlib import Path

import pytest

from beliefmatch.report.settings import is_default
from report.conftest import Copy
from report.folders import edit
from report.html_page import Page, build

pytestmark = pytest.mark.usefixtures("undrawn")


def tables(page: Page) -> tuple[list[str], list[str]]:
    """Names in the table in sight, and in that of all settings."""
    section = page.html[page.html.index('<section id="settings"') :]
    in_sight, _, folded = section.partition('<details class="more">')
    names = r'<th scope="row" data-value="([\w.]+)"'
    return re.findall(names, in_sight), re.findall(names, folded)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", True), ("a.b", True), ("b.c", True), ("b", False), ("b.d", False), ("aa", False), ("b.c.d", True)],
)
def test_a_part_of_a_default_is_a_default(name: str, expected: bool) -> None:
    assert is_default(name, {"a", "b.c"}) == expected


def test_defaults_and_what_is_none_are_folded_away(copy: Copy) -> None:
    folder = copy("run")
    in_sight, everything = tables(build(folder))
    run = json.loads((folder / "run.json").read_text())
    assert len(run["defaults"]) > 10
    assert {"recipe", "rounds", "batch_size", "source", "teacher.architecture", "device"} <= set(in_sight)
    assert not set(run["defaults"]) & set(in_sight)
    assert "teacher.weights" not in in_sight
    assert {*in_sight, "teacher.weights", "teacher_sha256", *run["defaults"]} <= set(everything)
    assert len(in_sight) <= 25 < len(everything)


def test_what_is_none_is_folded_away_even_if_it_is_no_default(copy: Copy) -> None:
    folder = copy("run")
    edit(folder / "run.json", lambda run: run.update(defaults=[]))
    in_sight, everything = tables(build(folder))
    assert "teacher.weights" not in in_sight
    assert "teacher.weights" in everything


def test_a_setting_that_was_changed_is_in_sight(copy: Copy) -> None:
    folder = copy("run")
    names = json.loads((folder / "run.json").read_text())["defaults"]
    chosen = next(name for name in names if name.startswith("source."))
    edit(folder / "run.json", lambda run: run["defaults"].remove(chosen))
    edit(folder / "run.json", lambda run: run["settings"]["transfer"]["source"].update({chosen[7:]: 12.5}))
    assert chosen in tables(build(folder))[0]


def test_several_processes_are_in_sight(copy: Copy) -> None:
    folder = copy("run")
    edit(folder / "run.json", lambda run: run["settings"].update(num_processes=2))
    assert "num_processes" in tables(build(folder))[0]


def test_the_path_of_the_program_is_left_out_of_its_command(copy: Copy) -> None:
    folder = copy("run")
    command = [str(Path("/somewhere/bin/beliefmatch")), "transfer", "best", "--name", "two words"]
    edit(folder / "run.json", lambda run: run.update(command=command))
    text = build(folder).text
    assert "beliefmatch transfer best --name 'two words'" in text
    assert "/somewhere" not in text
