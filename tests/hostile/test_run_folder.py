"""Run folders that somebody else made: texts in their files, and Python files that they name."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from beliefmatch import RunFolder, load_student, measure_run
from beliefmatch.cli import main
from beliefmatch.errors import BeliefMatchError, FolderError
from beliefmatch.export.card import MARKER
from beliefmatch.networks.loading.network import make_network
from hostile_texts import CANARY, COMMAND, KINDS, NO_FILES, TEXTS, outcome, places, replaced
from stored_students import replace_student

NUM_CASES = 24
EVIL = f"""
import os

os.system("{COMMAND}")


def make():
    from beliefmatch.networks.loading.network import make_network

    return make_network("mlp_8", in_channels=8, num_classes=10)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished")
    torch.manual_seed(0)
    save_file(make_network("mlp_8", in_channels=8, num_classes=10).state_dict(), place / "teacher.safetensors")
    words = ("--teacher", "mlp_8", "--teacher.weights", place / "teacher.safetensors", "--student", "mlp_4")
    sizes = ("--shape", 8, "--rounds", 2, "--batch-size", 4, "--accelerator", "cpu", "--display", "quiet")
    assert main([str(word) for word in ("transfer", "zero_shot", *words, *sizes, "--folder", place / "run")]) == 0
    return place / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, beside a file of evil code."""
    (tmp_path / "evil.py").write_text(EVIL)
    return shutil.copytree(finished, tmp_path / "run")


def change(file: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def student_is(name: str) -> Callable[[Path], None]:
    return lambda run: change(run / "student.json", lambda content: content.update(architecture=name))


def transfer_has(part: str, key: str, name: str) -> Callable[[Path], None]:
    def edit(content: dict[str, Any]) -> None:
        content["settings"]["transfer"][part][key] = name
        if part == "teacher":
            content["settings"]["transfer"][part]["weights"] = None

    return lambda run: change(run / "run.json", edit)


NAMED = {
    "student": student_is("evil.py:make"),
    "student by its path": lambda run: student_is(f"{run.parent}/evil.py:make")(run),
    "student in a module": student_is("evil:make"),
    "teacher": transfer_has("teacher", "architecture", "evil.py:make"),
    "teacher in a module": transfer_has("teacher", "architecture", "evil:make"),
    "student in the settings": transfer_has("student", "architecture", "evil.py:make"),
    "generator": transfer_has("source", "generator", "evil.py:make"),
}
"""Ways to name code in a folder."""
IN_STUDENT = ("student", "student by its path", "student in a module")


@pytest.mark.parametrize("place", NAMED)
def test_code_that_a_folder_names_is_shown_and_not_imported(
    place: str, run: Path, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    NAMED[place](run)
    exporting = ("export", run, "--to", "safetensors", "--out", tmp_path / "out")
    for words in (("measure", run, "--images", inputs), exporting):
        code, error = outcome(capsys, *words)
        assert code == 2
        assert "names Python code, " in error
        assert "evil" in error
        assert "--trust-code" in error
    with pytest.raises(FolderError, match="names Python code"):
        measure_run(RunFolder(run), torch.randn(4, 8))
    if place in IN_STUDENT:
        with pytest.raises(FolderError, match="names Python code"):
            load_student(run)
    else:
        load_student(run)
    assert not Path(CANARY).exists()
    assert not (tmp_path / "out").exists()


def test_a_report_imports_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMED.values():
        name(run)
    assert outcome(capsys, "report", run)[0] == 0


@pytest.mark.parametrize("command", ["measure", "export", "python"])
def test_code_that_is_trusted_is_imported(command: str, run: Path, tmp_path: Path, inputs: Path) -> None:
    """So the canary sings where it should."""
    student_is(f"{tmp_path}/evil.py:make")(run)
    replace_student(run, make_network("mlp_8", in_channels=8, num_classes=10).state_dict())
    match command:
        case "measure":
            words = ("measure", run, "--images", inputs, "--trust-code", "--display", "quiet")
            assert main([str(word) for word in words]) == 0
        case "export":
            words = ("export", run, "--to", "safetensors", "--trust-code", "--display", "quiet")
            assert main([str(word) for word in words]) == 0
        case _:
            assert load_student(run, trust_code=True)(torch.randn(2, 8)).shape == (2, 10)
    assert Path(CANARY).exists()


def test_the_caller_may_name_the_architecture(run: Path) -> None:
    NAMED["student"](run)
    assert load_student(run, architecture="mlp_4")(torch.randn(2, 8)).shape == (2, 10)
    assert not Path(CANARY).exists()


def test_names_that_are_trusted_are_no_others(run: Path, tmp_path: Path) -> None:
    student_is(f"{tmp_path}/evil.py:make")(run)
    with pytest.raises(FolderError, match="you did not name it here"):
        load_student(run, trust_code=[f"{tmp_path}/good.py:make"])
    assert not Path(CANARY).exists()


def test_a_comparison_imports_what_its_command_names_and_nothing_else(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.py").write_text(EVIL.replace(CANARY, "GOOD"))
    (tmp_path / "evil.py").write_text(EVIL)
    teacher = finished.parent / "teacher.safetensors"
    np.savez(tmp_path / "inputs.npz", inputs=np.zeros((4, 8), np.float32))
    words = (
        *("compare", "zero_shot", "--minutes", "0.0002", "--teacher", "mlp_8", "--teacher.weights", teacher),
        *("--student", "good.py:make", "--shape", 8, "--seeds", 0, "--batch-size", 4, "--accelerator", "cpu"),
        *("--images", "inputs.npz", "--folder", "all"),
    )
    assert outcome(capsys, *words)[0] == 0
    run = Path("all/zero_shot/seed_0")
    (run / "measurement.json").unlink()
    student_is(f"{tmp_path}/evil.py:make")(run)
    code, error = outcome(capsys, *words)
    assert code == 2
    assert "names Python code, " in error


def test_a_run_that_is_continued_names_its_code_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.py").write_text(EVIL.replace(CANARY, "GOOD"))
    words = (
        *("transfer", "zero_shot", "--teacher", "mlp_8", "--student", "good.py:make", "--folder", "mine"),
        *("--teacher.weights", finished.parent / "teacher.safetensors", "--shape", 8, "--rounds", 2, "--batch-size", 4),
        *("--accelerator", "cpu", "--display", "quiet"),
    )
    assert outcome(capsys, *words)[0] == 0
    Path("mine/result.json").unlink()
    assert outcome(capsys, *words, "--resume")[0] == 0


def test_texts_of_any_kind_in_a_folder_do_no_harm(
    finished: Path, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evil.py").write_text(EVIL)
    every = [
        (name, path, kind)
        for name in ("run.json", "student.json")
        for path, is_key in places(json.loads((finished / name).read_text()))
        for kind in KINDS
        if not is_key
    ]
    chosen = random.Random(0).sample(every, NUM_CASES)
    for number, (name, path, kind) in enumerate(chosen):
        run = shutil.copytree(finished, tmp_path / f"run_{number}")
        change(
            run / name,
            lambda content, path=path, kind=kind: replaced(content, path, TEXTS[kind], is_key=False),
        )
        commands = [("measure", run, "--images", inputs), *([("report", run)] if number % 4 == 0 else [])]
        for words in commands:
            try:
                outcome(capsys, *words)
            except Exception as error:
                raise AssertionError((name, path, kind, words[0])) from error
        with suppress(BeliefMatchError):
            load_student(run)
        assert not Path(CANARY).exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["README.md", "student.safetensors"])
@pytest.mark.parametrize("kind", NO_FILES)
def test_an_export_waits_for_no_pipe_and_reads_no_device(
    kind: str, name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A card that nobody changed, of whatever run: its run is compared with the student.
    (run / "README.md").write_text(MARKER.format(run="0", text=hashlib.sha256(b"").hexdigest()[:16]))
    (run / name).unlink()
    NO_FILES[kind](run / name)
    for more in ([], ["--overwrite"]):
        code, error = outcome(capsys, "export", run, "--to", "safetensors", *more)
        assert code == 2
        assert f"{name} cannot be read: " in error
        assert not (run / "model.safetensors").exists()
