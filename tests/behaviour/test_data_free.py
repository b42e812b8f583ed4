"""Data-free means data-free: a transfer in which any read of images fails runs to its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.recipes import ALL
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


SMALL = ("--rounds", "2", "--batch-size", "4", "--accelerator", "cpu", "--display", "quiet")
NETWORKS = {
    "images": ("make_conv_teacher", "make_dropout_student"),
    "vectors": ("make_mlp_teacher", "make_mlp_student"),
    "plane": ("make_plane_network", "make_plane_network"),
}
IMAGES, VECTORS = ("--shape", "1", "8", "8", "--mean", ".3", "--std", ".4"), ("--shape", "12")
STEPS = ("--source.student-steps", "2")
POOLED = (*STEPS, "--source.making-steps", "2", "--source.warm-up", "1")
TRANSFERRED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("digits", "images", ()),
    ("zero_shot", "images", IMAGES),
    ("zero_shot", "vectors", VECTORS),
    ("best", "images", (*IMAGES, *POOLED)),
    ("best", "vectors", (*VECTORS, *STEPS)),
    ("dafl", "images", IMAGES),
    ("dfad", "images", IMAGES),
    ("dfq", "images", (*IMAGES, *STEPS)),
    ("deep_inversion", "images", (*IMAGES, *POOLED)),
    ("cmi", "images", (*IMAGES, *POOLED)),
    ("fast", "images", (*IMAGES, *POOLED)),
    ("fast", "vectors", (*VECTORS, *POOLED)),
    ("nayer", "images", (*IMAGES, *POOLED)),
    ("noise", "images", (*IMAGES, *STEPS)),
    ("toy", "plane", ("--source.point-steps", "2")),
    ("toy_generator", "plane", ()),
)
"""Recipe, networks and settings of transfers without data, with few steps where a recipe takes many."""
READ_DATA = {"unlabelled", "few_shot", "fine_tune"}


def test_no_transfer_without_data_reads_images(tmp_path: Path) -> None:
    assert {recipe for recipe, _, _ in TRANSFERRED} == set(ALL) - READ_DATA
    folders = [tmp_path / str(number) for number in range(len(TRANSFERRED))]
    words = []
    for (recipe, networks, settings), folder in zip(TRANSFERRED, folders, strict=True):
        teacher, student = map(named, NETWORKS[networks])
        pair = ("--teacher.architecture", teacher, "--student.architecture", student, "--allow-untrained")
        words.append(("transfer", recipe, *pair, *settings, *SMALL, "--folder", str(folder)))
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

    from beliefmatch.studies import demo, sweep  # noqa: PLC0415

    for module, name in ((demo, "read_digits"), (sweep, "run")):
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    monkeypatch.setattr(demo, "NUM_EPOCHS", 1)
    folder = tmp_path / "demo"
    found = run_demo(RunOptions(folder=folder, accelerator="cpu"), seed=0, rounds=3)
    assert events == [
        *("read_digits begins", "read_digits ends", "run begins", "run ends", "read_digits begins", "read_digits ends")
    ]
    assert found.measurement.num_images == 540
    with pytest.raises(FolderError, match="already holds a run: add resume=True"):
        run_demo(RunOptions(folder=folder, accelerator="cpu"), seed=0, rounds=3)
    teacher = (folder / TEACHER_FILE).read_bytes()
    again = run_demo(RunOptions(folder=folder, accelerator="cpu", resume=True), seed=0, rounds=3)
    assert again.measurement == found.measurement
    assert (folder / TEACHER_FILE).read_bytes() == teacher


def test_a_demo_of_a_few_rounds_learns_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beliefmatch.studies.demo.NUM_EPOCHS", 12)
    found = run_demo(RunOptions(folder=tmp_path / "demo", accelerator="cpu"), seed=0, rounds=24)
    assert (found.measurement.student_accuracy or 0) > 0.4


@pytest.mark.long
def test_a_short_demo_learns(tmp_path: Path) -> None:
    found = run_demo(RunOptions(folder=tmp_path / "demo", accelerator="cpu"), seed=0, rounds=80)
    assert (found.measurement.teacher_accuracy or 0) > 0.98
    assert (found.measurement.student_accuracy or 0) > 0.8
