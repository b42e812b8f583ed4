"""What all tests share."""

import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from beliefmatch.networks.loading.torchvision_operators import define_missing_operators
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.schema.row import Row
from beliefmatch.training import run as running
from beliefmatch.training.pictures import write_curves
from own_process import ForkedPopen, start_together

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


@pytest.fixture(scope="session", autouse=True)
def _curves_in_brief() -> Iterator[None]:
    """Draw the curves of the first run, and give others its picture: one takes half of the time of a short run."""
    drawn: dict[str, bytes] = {}

    def write_brief(path: Path, rows: Sequence[Row]) -> None:
        assert rows
        if not drawn:
            write_curves(path, rows)
            drawn["picture"] = path.read_bytes()
        write_bytes(path, drawn["picture"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "write_curves", write_brief)
        yield


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes of their own import torchvision, whatever torch is installed."""
    place = str(Path(__file__).with_name("fresh_process"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH")))))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in a process of its own, or in as many as it asks for, in an empty folder."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in arguments]
        with tempfile.TemporaryDirectory() as place:
            log, errors = Path(place) / "log", Path(place) / "errors"
            count = int(words[words.index("--devices") + 1]) if "--devices" in words else 1
            processes = start_together(*words, log=log, errors=errors, folder=tmp_path, count=count)
            for process in processes:
                process.join()
            done = subprocess.CompletedProcess(words, processes[0].exitcode or 0, log.read_text(), errors.read_text())
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def forked_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask exported files in processes that have imported their packages already; they answer after a moment then."""
    forking = SimpleNamespace(Popen=ForkedPopen, PIPE=subprocess.PIPE)
    monkeypatch.setattr("beliefmatch.export.fresh_process.subprocess", forking)
