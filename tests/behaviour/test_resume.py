"""A run that is killed at any moment continues to the same student, bit for bit."""

import random
import shutil
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from beliefmatch.runs.folder import RunFolder
from own_process import Fate, KillAfterWrite, KillInWrite, fill_disk, start_command
from tiny import named

ROUNDS = 30
MANY_ROUNDS = 200
NUM_KILLS = 10
FATES = {
    "start": KillInWrite(1),
    "in a write": KillInWrite(6),
    "between two rounds": KillAfterWrite("checkpoint.pt", 2),
    "end": KillAfterWrite("student.safetensors"),
}
"""When a run is killed."""


def arguments(folder: Path, *more: str, rounds: int = ROUNDS, every: int = 7) -> list[str]:
    return [
        "transfer",
        "digits",
        *("--teacher.architecture", named("make_conv_teacher")),
        *("--student.architecture", named("make_dropout_student")),
        *("--source.noise-size", "6", "--source.student-steps", "2"),
        *("--batch-size", "8", "--rounds", str(rounds), "--accelerator", "cpu"),
        *("--checkpoint-every", str(every), "--picture-every", "20", "--folder", str(folder), *more),
    ]


def finish(log: Path, *command: str) -> None:
    process = start_command(*command, log=log)
    process.join(timeout=300)
    assert process.exitcode == 0, log.read_text()


def wait_for_change(path: Path, process: ForkServerProcess) -> None:
    """Wait until a checkpoint is written, or the process ends."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while process.is_alive() and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    finish(folder.with_suffix(".log"), *arguments(folder))
    return RunFolder(folder)


def untimed(folder: RunFolder) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in folder.read_metrics()]


def check_equal(folder: RunFolder, whole: RunFolder) -> None:
    assert folder.student.read_bytes() == whole.student.read_bytes()
    assert untimed(folder) == untimed(whole)
    assert not list(folder.path.glob(".*")), "killed writes are swept away"


@pytest.mark.parametrize("fate", FATES.values(), ids=FATES)
def test_a_kill_changes_nothing(uninterrupted: RunFolder, tmp_path: Path, fate: Fate) -> None:
    folder = RunFolder(tmp_path / "killed")
    process = start_command(*arguments(folder.path), log=tmp_path / "log", fate=fate)
    process.join(timeout=300)
    assert process.exitcode == -signal.SIGKILL
    assert not folder.result.exists()
    finish(tmp_path / "log", *arguments(folder.path, "--resume"))
    check_equal(folder, uninterrupted)


@pytest.mark.long
def test_ten_kills_at_any_time_change_nothing(tmp_path: Path) -> None:
    whole, folder, chance = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed"), random.Random(0)
    finish(tmp_path / "log", *arguments(whole.path, rounds=MANY_ROUNDS))
    deaths = 0
    while deaths < NUM_KILLS:
        process = start_command(*arguments(folder.path, "--resume", rounds=MANY_ROUNDS), log=tmp_path / "log")
        if deaths % 3 == 0:
            time.sleep(chance.uniform(0, 1))
        else:
            wait_for_change(folder.checkpoint, process)
            time.sleep(chance.uniform(0, 0.15))
        process.kill()
        process.join()
        if process.exitcode == 0:
            shutil.rmtree(folder.path)  # It was faster than the kills, which begin anew.
        deaths += process.exitcode == -signal.SIGKILL
    finish(tmp_path / "log", *arguments(folder.path, "--resume", rounds=MANY_ROUNDS))
    check_equal(folder, whole)


def test_a_full_disk_stops_the_run_and_the_old_checkpoint_survives(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "full")
    log = tmp_path / "log"
    process = start_command(*arguments(folder.path, rounds=100_000), log=log)
    wait_for_change(folder.checkpoint, process)
    process.kill()
    process.join()
    before = folder.checkpoint.read_bytes()
    process = start_command(*arguments(folder.path, "--resume", rounds=100_000), log=log, fate=fill_disk)
    process.join(timeout=120)
    assert process.exitcode == 2, log.read_text()
    last = log.read_text().splitlines()[-1]
    assert last.startswith("beliefmatch: error: cannot write")
    assert last.endswith("(the old one is untouched)")
    assert folder.checkpoint.read_bytes() == before
    assert not list(folder.path.glob(".*"))
