"""Data-free means data-free: a transfer in which any read of images fails runs to its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.studies.demo import run_demo
from beliefmatch.training.options import RunOptions
from tiny import named

GUARDED = """
import sys

FORBIDDEN = (".npz", ".npy", ".csv", ".csv.gz", ".jpg", ".jpeg", ".png", ".gz", "-ubyte", ".parquet", ".pt.data")

def guard(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "r" in (arguments[1] or "r"):
        if arguments[0].endswith(FORBIDDEN):
            raise RuntimeError(f"read of {arguments[0]}")
    if event in ("socket.connect", "urllib.Request"):
        raise RuntimeError(f"reach for the network: {arguments}")
    if event == "import" and arguments[0].startswith(("beliefmatch.data", "sklearn", "torchvision.datasets")):
        raise RuntimeError(f"import of {arguments[0]}")

sys.addaudithook(guard)
"""

TRANSFERS = """
import json
from beliefmatch.cli import main
for words in json.loads(sys.argv[1]):
    assert main(words) == 0, words
assert not [name for name in sys.modules if name.startswith(("beliefmatch.data", "sklearn"))]
"""

CHEAT = """
import numpy
numpy.savez(sys.argv[-1], images=numpy.zeros(3))
numpy.load(sys.argv[-1])
"""


def guarded(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", GUARDED + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_a_transfer_reads_no_images(tmp_path: Path) -> None:
    small = ("--rounds", "2", "--batch-size", "4", "--accelerator", "cpu")
    networks = {
        kind: ("--teacher.architecture", named(teacher), "--student.architecture", named(student))
        for kind, teacher, student in (
            ("images", "make_conv_teacher", "make_dropout_student"),
            ("vectors", "make_mlp_teacher", "make_mlp_student"),
        )
    }
    transfers = (
        ("digits", *networks["images"]),
        ("zero_shot", *networks["images"], "--shape", "1", "8", "8"),
        ("zero_shot", *networks["vectors"], "--shape", "12"),
        ("fast", *networks["vectors"], "--shape", "12", "--source.student-steps", "2", "--source.warm-up", "1"),
    )
    folders = [tmp_path / str(number) for number in range(len(transfers))]
    words = [
        ("transfer", *given, *small, "--folder", str(folder)) for given, folder in zip(transfers, folders, strict=True)
    ]
    done = guarded(TRANSFERS, json.dumps(words))
    assert done.returncode == 0, done.stderr
    assert all((folder / "result.json").is_file() for folder in folders)


@pytest.mark.parametrize("code", [CHEAT, "import beliefmatch.data.digits", "import sklearn.datasets"])
def test_the_guard_catches_a_cheat(tmp_path: Path, code: str) -> None:
    done = guarded(code, str(tmp_path / "images.npz"))
    assert done.returncode == 1
    assert "RuntimeError: read of" in done.stderr or "RuntimeError: import of" in done.stderr


def test_the_demo_opens_its_data_before_and_after_the_transfer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def watched(name: str, real: object) -> object:
        def call(*arguments: object, **named_arguments: object) -> object:
            events.append(f"{name} begins")
            result = real(*arguments, **named_arguments)  # pyright: ignore[reportCallIssue]
            events.append(f"{name} ends")
            return result

        return call

    import beliefmatch.studies.demo as module  # noqa: PLC0415

    for name in ("read_digits", "run"):
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    monkeypatch.setattr(module, "NUM_EPOCHS", 1)
    folder = tmp_path / "demo"
    found = run_demo(RunOptions(folder=folder, accelerator="cpu"), seed=0, rounds=3)
    assert events == [
        *("read_digits begins", "read_digits ends", "run begins", "run ends", "read_digits begins", "read_digits ends")
    ]
    assert found.measurement.num_images == 540
    with pytest.raises(FolderError, match="already holds a run: add --resume"):
        run_demo(RunOptions(folder=folder, accelerator="cpu"), seed=0, rounds=3)
    teacher = (folder / TEACHER_FILE).read_bytes()
    again = run_demo(RunOptions(folder=folder, accelerator="cpu", resume=True), seed=0, rounds=3)
    assert again.measurement == found.measurement
    assert (folder / TEACHER_FILE).read_bytes() == teacher


def test_a_short_demo_learns(tmp_path: Path) -> None:
    found = run_demo(RunOptions(folder=tmp_path / "demo", accelerator="cpu"), seed=0, rounds=80)
    assert (found.measurement.teacher_accuracy or 0) > 0.98
    assert (found.measurement.student_accuracy or 0) > 0.8
