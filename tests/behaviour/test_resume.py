"""A run that is killed at any moment continues to the same student, bit for bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beliefmatch.engine.record import RunFolder
from tiny import named

ROUNDS = 300
NUM_KILLS = 10


def arguments(folder: Path, *more: str, rounds: int = ROUNDS, every: int = 7) -> list[str]:
    return [
        "transfer",
        "digits",
        *("--teacher.architecture", named("make_conv_teacher")),
        *("--student.architecture", named("make_dropout_student")),
        *("--source.noise-size", "6", "--source.student-steps", "2"),
        *("--batch-size", "8", "--rounds", str(rounds), "--accelerator", "cpu"),
        *("--checkpoint-every", str(every), "--picture-every", "100", "--folder", str(folder), *more),
    ]


def start(*command: str) -> subprocess.Popen[bytes]:
    # One thread: so small a network gains nothing from two, and the tests run faster.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(*command: str) -> None:
    process = start(*command)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (out + err).decode()


def wait_for_change(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a checkpoint is written, or the process ends."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while process.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    finish("-m", "beliefmatch", *arguments(folder))
    return RunFolder(folder)


def untimed(folder: RunFolder) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in folder.read_metrics()]


def test_ten_kills_change_nothing(uninterrupted: RunFolder, tmp_path: Path) -> None:
    folder, chance = RunFolder(tmp_path / "killed"), random.Random(0)
    deaths = 0
    while deaths < NUM_KILLS:
        process = start("-m", "beliefmatch", *arguments(folder.path, "--resume"))
        if deaths % 3 == 0:
            time.sleep(chance.uniform(0, 2))
        else:
            wait_for_change(folder.checkpoint, process)
            time.sleep(chance.uniform(0, 0.15))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            shutil.rmtree(folder.path)  # It was faster than the kills, which begin anew.
        deaths += process.returncode == -signal.SIGKILL
    finish("-m", "beliefmatch", *arguments(folder.path, "--resume"))
    assert folder.student.read_bytes() == uninterrupted.student.read_bytes()
    assert untimed(folder) == untimed(uninterrupted)
    assert not list(folder.path.glob(".*")), "killed writes are swept away"


KILL_IN_WRITE = """
import os, signal, sys
from beliefmatch.cli import main
moment, calls = int(sys.argv.pop(1)), 0
def fsync(handle, real=os.fsync):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)
os.fsync = fsync
sys.exit(main())
"""


@pytest.mark.parametrize("moment", [1, 6])
def test_a_kill_in_the_middle_of_a_write_changes_nothing(uninterrupted: RunFolder, tmp_path: Path, moment: int) -> None:
    folder = RunFolder(tmp_path / "killed")
    process = start("-c", KILL_IN_WRITE, str(moment), *arguments(folder.path))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finish("-m", "beliefmatch", *arguments(folder.path, "--resume"))
    assert folder.student.read_bytes() == uninterrupted.student.read_bytes()


FULL_DISK = """
import resource, sys
from beliefmatch.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main())
"""


def test_a_full_disk_stops_the_run_and_the_old_checkpoint_survives(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "full")
    process = start("-m", "beliefmatch", *arguments(folder.path, rounds=100_000))
    wait_for_change(folder.checkpoint, process)
    process.kill()
    process.communicate()
    before = folder.checkpoint.read_bytes()
    process = start("-c", FULL_DISK, *arguments(folder.path, "--resume", rounds=100_000))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err.decode()
    last = err.decode().splitlines()[-1]
    assert last.startswith("beliefmatch: error: cannot write")
    assert last.endswith("(the old one is untouched)")
    assert folder.checkpoint.read_bytes() == before
    assert not list(folder.path.glob(".*"))
