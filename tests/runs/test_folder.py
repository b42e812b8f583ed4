"""The folder of a run: who may begin in it, what its lines hold, and that nothing of it needs torch."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.errors import FolderError, ResumeError
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.result import Result
from beliefmatch.runs.schema.run import RunSettings
from results import RESULT

ROW: dict[str, Any] = {
    "round": 1,
    "seconds": 0.5,
    "student_steps": 2,
    "generator_loss": 1.5,
    "student_loss": 0.5,
    "student_gradient_norm": 1.0,
    "student_norm": 1.0,
    "teacher_confidence": 0.75,
    "student_confidence": 0.5,
    "confidence_gap": 0.25,
    "batch_agreement": 0.5,
    "teacher_classes": [0.5, 0.5],
    "student_classes": [1.0, 0.0],
    "student_largest_class": 1.0,
}
SETTINGS = RunSettings(
    transfer={
        "type": "Transfer",
        "seed": 3,
        "rounds": 4,
        "teacher": {"weights": {"type": "Path", "path": "a.st"}, "num_classes": None},
        "inputs": {"shape": [2], "normalisation_from": None},
    },
    teacher_sha256="ab",
    num_processes=1,
    device="cpu",
    precision="32-true",
)


def changed(settings: RunSettings, *path: str, to: Any) -> RunSettings:
    transfer = json.loads(json.dumps(settings.transfer))
    part = transfer
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = to
    return replace(settings, transfer=transfer)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "run")
    found.begin(SETTINGS)
    found.release()
    return found


def test_a_run_that_begins_says_what_it_is(folder: RunFolder) -> None:
    found = folder.read_run()
    assert (found.settings, found.seed, found.command) == (SETTINGS, 3, tuple(sys.argv))
    assert {"python", "torch", "beliefmatch"} <= set(found.versions)


def test_one_process_alone_runs_in_a_folder(folder: RunFolder) -> None:
    folder.begin(SETTINGS)
    with pytest.raises(FolderError, match=r"another process is running in .*run: wait for it, or end it"):
        RunFolder(folder.path).begin(SETTINGS)
    folder.release()
    RunFolder(folder.path).begin(SETTINGS)


def test_a_folder_in_use_is_refused_before_any_work(folder: RunFolder) -> None:
    folder.check_usable(resume=True)
    folder.acquire()
    try:
        folder.check_usable(resume=True)
        with pytest.raises(FolderError, match="another process is running in"):
            RunFolder(folder.path).check_usable(resume=True)
    finally:
        folder.release()
    other = RunFolder(folder.path)
    other.check_usable(resume=True)
    assert not other.held.is_locked


def test_a_run_continues_with_equal_settings_alone(folder: RunFolder) -> None:
    folder.check_settings(SETTINGS)
    folder.check_settings(changed(SETTINGS, "teacher", "weights", to={"type": "Path", "path": "elsewhere.st"}))
    folder.check_settings(changed(SETTINGS, "teacher", "num_classes", to=10))
    folder.check_settings(changed(SETTINGS, "inputs", "normalisation_from", to="user"))
    for other in (
        changed(SETTINGS, "rounds", to=5),
        changed(SETTINGS, "inputs", "shape", to=[3]),
        replace(SETTINGS, teacher_sha256="cd"),
        replace(SETTINGS, precision="64-true"),
        replace(SETTINGS, num_processes=2),
    ):
        with pytest.raises(ResumeError, match=r"was begun with other settings: .* was .*, is .* now"):
            folder.check_settings(other)


def test_a_run_that_continues_says_anew_where_its_teacher_lies(folder: RunFolder) -> None:
    before = folder.read_run()
    moved = changed(SETTINGS, "teacher", "weights", to={"type": "Path", "path": "elsewhere.st"})
    folder.begin(moved)
    assert folder.read_run() == replace(before, settings=moved)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.check_usable(resume=False)
    (tmp_path / "mine.txt").write_text("")
    for resume in (False, True):
        with pytest.raises(FolderError, match=r"is not empty \(it holds mine.txt\): name another folder"):
            folder.check_usable(resume=resume)
    folder.check_usable(resume=False, may_hold=("mine.txt",))
    folder.run.write_text("{}")
    folder.check_usable(resume=True)
    with pytest.raises(FolderError, match="already holds a run: add resume=True"):
        folder.check_usable(resume=False)


def test_rows_are_read_as_they_were_written(folder: RunFolder) -> None:
    assert folder.read_metrics() == []
    rows = [ROW | {"round": number, "batch_diversity": 0.5} for number in (1, 2, 3)]
    for row in rows:
        folder.append_metrics(row)
    assert folder.read_metrics() == rows
    folder.rewind_metrics(2)
    assert folder.read_metrics() == rows[:2]
    assert [list(row) for row in folder.read_metrics()] == [list(row) for row in rows[:2]]


@pytest.mark.parametrize("last", [b'{"round": 2, "sec', b"\xff{", b"\0\0\0", b"[" * 100_000, b'{"round": "2"}'])
def test_a_last_line_that_was_cut_short_is_left_out(folder: RunFolder, last: bytes) -> None:
    folder.metrics.write_bytes(json.dumps(ROW).encode() + b"\n" + last)
    assert folder.read_metrics() == [ROW]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (3, "it is 3, expected an object"),
        (ROW | {"round": "1"}, "round is '1', expected a whole number"),
        (ROW | {"round": True}, "round is true, expected a whole number"),
        (ROW | {"student_steps": 0}, "student_steps is 0, expected at least 1"),
        (ROW | {"student_classes": [1.0]}, "teacher_classes and student_classes differ in length"),
        (ROW | {"student_classes": 1.0}, "student_classes is 1.0, expected a list"),
        (ROW | {"generator_loss": "low"}, "generator_loss is 'low', expected a number"),
        (ROW | {"generator_loss": [1.0]}, "generator_loss is a list, expected a number"),
        *(
            ({name: value for name, value in ROW.items() if name != left_out}, f"{left_out} is missing")
            for left_out in ROW
            if left_out != "generator_loss"
        ),
    ],
)
def test_a_damaged_line_is_named(folder: RunFolder, row: Any, message: str) -> None:
    folder.metrics.write_text(f"{json.dumps(ROW)}\n{json.dumps(row)}\n")
    with pytest.raises(FolderError, match=rf"^line 2 of .*metrics\.jsonl is damaged: {message}") as caught:
        folder.read_metrics()
    assert "\n" not in str(caught.value)


def test_pipes_are_not_waited_for(folder: RunFolder) -> None:
    reads = {
        folder.metrics: folder.read_metrics,
        folder.result: folder.read_result,
        folder.collapses: folder.read_collapses,
        folder.measurement: folder.read_measurement,
        folder.student_metadata: folder.read_student,
    }
    for path, read in reads.items():
        os.mkfifo(path)
        with pytest.raises(FolderError, match=f"{path.name} cannot be read: it is no regular file"):
            read()


def test_what_is_not_there_is_said(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"holds no run \(no run.json\)"):
        RunFolder(tmp_path).read_run()
    with pytest.raises(FolderError, match="has not finished: continue it with resume=True"):
        folder.read_result()
    with pytest.raises(FolderError, match=r"holds no student \(no student.json\): has its run finished"):
        folder.read_student()
    assert folder.read_measurement() is None


BLOCKED = """
import importlib, pkgutil, sys
for name in ("torch", "lightning_fabric", "safetensors"):
    sys.modules[name] = None
import beliefmatch, beliefmatch.runs, beliefmatch.report
assert beliefmatch.RunFolder and beliefmatch.Result
for room in (beliefmatch.runs, beliefmatch.report):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_runs_and_reports_are_imported_where_torch_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_changes_of_two_processes_at_once_both_stay(tmp_path: Path) -> None:
    """Each reads, waits until the other one could have read too, and writes."""
    folder = RunFolder(tmp_path)
    folder.write_result(RESULT)
    both_begin = threading.Barrier(2)

    def change(name: str, value: float) -> None:
        def changed(result: Result) -> Result:
            time.sleep(0.2)
            return replace(result, **{name: value})

        both_begin.wait()
        RunFolder(tmp_path).change_result(changed)

    threads = [threading.Thread(target=change, args=each) for each in (("agreement", 0.25), ("student_accuracy", 0.5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (folder.read_result().agreement, folder.read_result().student_accuracy) == (0.25, 0.5)
