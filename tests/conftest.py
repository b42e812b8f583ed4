"""What all tests share."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchvision_operators import define_missing_operators

# Test processes run side by side; with all threads each they would wait for one another more than they compute.
WORKERS = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
CORES = os.cpu_count() or 1
THREADS = max(1, CORES // int(WORKERS)) if WORKERS else int(os.environ.get("OMP_NUM_THREADS", CORES))
os.environ["OMP_NUM_THREADS"] = str(THREADS)
torch.set_num_threads(THREADS)

define_missing_operators()

Command = Callable[..., subprocess.CompletedProcess[str]]


LOG_LEVEL = logging.getLogger().level


@pytest.fixture(autouse=True)
def log_level_as_it_was() -> None:
    """Undo what the command did to the log of the whole process, where tests or fixtures ran it in their own."""
    logging.getLogger().setLevel(LOG_LEVEL)


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes of their own import torchvision, whatever torch is installed."""
    place = str(Path(__file__).with_name("fresh_process"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH")))))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in a process of its own, in an empty folder."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "beliefmatch", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
