"""Progress of a run: where it is seen, how often, and how it is turned off."""

import builtins
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from beliefmatch import RunOptions, Setup, recipes, run
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.students.given import GivenStudent
from beliefmatch.training import progress as module
from beliefmatch.training.progress import RunProgress
from tiny import make_conv_teacher, make_plain_conv


def test_run_shows_progress_unless_it_is_turned_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup(
        teacher=GivenNetwork.of(make_conv_teacher()),
        student=GivenStudent.of(make_plain_conv),
        shape=(1, 8, 8),
        rounds=2,
        batch_size=4,
    )
    seen: list[int] = []
    for name, shows in (("loud", True), ("silent", False)):
        options = RunOptions(folder=tmp_path / name, accelerator="cpu", precision="32-true")
        run(recipes.noise(setup), options, progress=shows, on_round=lambda completed, _row: seen.append(completed))
        written = capsys.readouterr()
        assert ("round 2/2" in written.err) is shows
        assert written.out == ""
    assert seen == [1, 2, 1, 2]


def test_lines_come_every_ten_seconds_and_after_a_minute_every_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = RunProgress(301)
    for second in range(301):
        clock[0] = float(second)
        progress(second + 1, {"student_loss": 1.0})
    lines = capsys.readouterr().err.splitlines()
    shown = [int(line.split()[1].partition("/")[0]) - 1 for line in lines]
    assert shown == [10, 20, 30, 40, 50, 110, 170, 230, 290, 300]
    assert "0:02:10 left" in lines[6]


def test_a_notebook_gets_one_bar_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, content: str) -> None:
            shown.append(content)

    def display(content: str, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(content)
        return Handle()

    class ZMQInteractiveShell:
        """The name by which a notebook is known."""

    fake: Any = ModuleType("IPython.display")
    fake.HTML, fake.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setattr(module, "NOTEBOOK_SECONDS", 0)
    with RunProgress(3, name="<best>") as progress:
        for completed in (1, 2, 3):
            progress(completed, {"student_loss": 1.0})
    assert len(shown) == 3
    assert '<progress value="3" max="3">' in shown[-1]
    assert "&lt;best&gt;" in shown[-1]
    assert "left" in shown[-1]
