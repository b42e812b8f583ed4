"""Runs that all tests of the report read, and a copy of one that a test may change."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from beliefmatch.report import figures
from report.folders import make_run

Copy = Callable[[str], Path]


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that differ in their seed alone."""
    parent = tmp_path_factory.mktemp("runs")
    return [make_run(parent / f"seed_{seed}", seed=seed) for seed in (0, 1)]


@pytest.fixture
def copy(two_runs: list[Path], tmp_path: Path) -> Copy:
    """Copy the first run to a folder of this name."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(two_runs[0], tmp_path / name))

    return make


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures empty, for tests that read words alone: drawing takes most of the time."""
    monkeypatch.setattr(figures, "_render", lambda *_: b"<svg/>")
