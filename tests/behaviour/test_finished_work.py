"""Finished work is not lost: not to a second start, a removed student, a flipped bit or a bad line."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import beliefmatch.training.run as running
from beliefmatch import load_student
from beliefmatch.cli import main
from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import RunFolder
from beliefmatch.studies.teacher_file import write_teacher
from beliefmatch.training.preflight import preflight
from own_process import KillAfterWrite, start_command
from tiny import make_plane_network, named

ROUNDS = 12


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        *("transfer", "noise", "--teacher", named("make_conv_teacher"), "--student", named("make_plain_conv")),
        *("--shape", "1", "8", "8", "--batch-size", "8", "--rounds", str(ROUNDS), "--accelerator", "cpu"),
        *("--checkpoint-every", "4", "--folder", str(folder), "--display", "quiet", *more),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(folder)) == 0
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_ended_while_another_began_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second start looked at the folder, was slow, and finds a finished run when it would begin."""
    folder = tmp_path / "run"
    first: dict[str, Any] = {}

    def slow(prepared: Any) -> None:
        preflight(prepared)
        if not first:
            first["began"] = True
            assert main(arguments(folder)) == 0
            first["left"] = contents(folder)

    monkeypatch.setattr(running, "preflight", slow)
    assert main(arguments(folder, "--seed", "5")) == 2
    assert "already holds a run" in error_of(capsys)
    assert contents(folder) == first["left"]


def test_a_run_of_other_settings_that_began_meanwhile_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    began: list[bool] = []

    def slow(prepared: Any) -> None:
        preflight(prepared)
        if not began:
            began.append(True)
            assert main(arguments(folder)) == 0

    monkeypatch.setattr(running, "preflight", slow)
    assert main(arguments(folder, "--seed", "5", "--resume")) == 2
    assert "was begun with other settings: transfer.seed was 0, is 5 now" in error_of(capsys)


def test_a_teacher_is_trained_into_a_folder_by_one_process_alone(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    write_teacher(first, make_plane_network, seed=0, resume=False)
    before = (tmp_path / "teacher.safetensors").read_bytes()
    for resume in (False, True):
        with pytest.raises(FolderError, match=r"not empty|another process is running"):
            write_teacher(second, make_plane_network, seed=1, resume=resume)
    first.release()
    with pytest.raises(FolderError, match=r"is not empty \(it holds teacher.safetensors\)"):
        write_teacher(second, make_plane_network, seed=1, resume=False)
    assert (tmp_path / "teacher.safetensors").read_bytes() == before


@pytest.mark.parametrize("damage", ["removed", "cut", "flipped", "no metadata"])
def test_a_student_that_was_lost_is_written_again(damage: str, whole: Path, folder: Path) -> None:
    run = RunFolder(folder)
    match damage:
        case "removed":
            run.student.unlink()
        case "cut":
            run.student.write_bytes(run.student.read_bytes()[:-9])
        case "flipped":
            flip(run.student, -9)
        case _:
            run.student_metadata.unlink()
    with pytest.raises(FolderError, match=r"student\.safetensors is (missing|damaged): .*resume=True|holds no student"):
        load_student(folder, trust_code=True)
    assert main(arguments(folder, "--resume")) == 0
    assert run.student.read_bytes() == RunFolder(whole).student.read_bytes()
    load_student(folder, trust_code=True)


def test_a_student_and_a_result_of_two_runs_are_told_apart(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A student with its own student.json beside the result of another, in each command that shows numbers of it."""
    other, images = tmp_path / "other", tmp_path / "images.npz"
    assert main(arguments(other, "--seed", "5")) == 0
    np.savez(images, images=np.zeros((2, 8, 8, 1), np.uint8))
    for name in ("student.safetensors", "student.json"):
        shutil.copy(other / name, folder)
    expected = (
        r"student\.safetensors is damaged: its SHA-256 is \w{12}\.\.\., result\.json says \w{12}\.\.\.; continuing "
        r"the run (with resume=True )?writes it again from checkpoint\.pt, or where that is damaged from "
        r"checkpoint_previous\.pt"
    )
    for command in (
        ("measure", str(folder), "--images", str(images), "--trust-code"),
        ("report", str(folder)),
        ("export", str(folder), "--to", "safetensors", "--trust-code"),
    ):
        assert main(command) == 2
        assert re.search(expected, error_of(capsys))
    with pytest.raises(FolderError, match=expected):
        load_student(folder, trust_code=True)
    assert main(arguments(folder, "--resume")) == 0
    load_student(folder, trust_code=True)


def test_a_flipped_bit_in_a_checkpoint_is_named_and_the_one_before_it_serves(
    whole: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(folder)
    for path in (run.result, run.student):
        path.unlink()
    weight = next(iter(torch.load(run.checkpoint)["state"]["student"].values()))
    at = run.checkpoint.read_bytes().index(weight.numpy().tobytes())
    flip(run.checkpoint, at + 3)
    assert main(arguments(folder, "--resume")) == 2
    error = error_of(capsys)
    assert "checkpoint.pt is damaged and cannot be continued (the checksum of its record" in error
    assert "remove it, and the run continues from the one before it, checkpoint_previous.pt" in error
    run.checkpoint.unlink()
    assert main(arguments(folder, "--resume")) == 0
    assert run.student.read_bytes() == RunFolder(whole).student.read_bytes()


@pytest.mark.parametrize("name", ["round", "seconds", "student_passes"])
@pytest.mark.parametrize("value", ["text", None, float("nan"), -1])
def test_counters_of_a_checkpoint_are_numbers(
    name: str, value: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(folder / "checkpoint.pt")
    (content if name == "seconds" else content["state"])[name] = value
    torch.save(content, folder / "checkpoint.pt")
    (folder / "result.json").unlink()
    assert main(arguments(folder, "--resume")) == 2
    assert "checkpoint.pt is damaged" in error_of(capsys)


def test_a_kill_between_two_checkpoints_leaves_the_one_before(whole: Path, tmp_path: Path) -> None:
    """The newer one has no name yet, and the older one was put aside."""
    folder = tmp_path / "run"
    process = start_command(*arguments(folder), log=tmp_path / "log", fate=KillAfterWrite("checkpoint.pt", 2))
    process.join(timeout=300)
    (folder / "checkpoint.pt").unlink()
    assert (folder / "checkpoint_previous.pt").is_file()
    assert main(arguments(folder, "--resume")) == 0
    assert (folder / "student.safetensors").read_bytes() == (whole / "student.safetensors").read_bytes()


@pytest.mark.parametrize("character", [b"\xff", b"\x00", b"}"])
def test_a_bad_line_of_metrics_is_named_and_none_is_dropped(
    character: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = folder / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines()
    lines[1] = lines[1][:20] + character + lines[1][20:]
    metrics.write_bytes(b"\n".join(lines) + b"\n")
    before = metrics.read_bytes()
    assert main(arguments(folder, "--resume")) == 2
    assert "line 2 of" in error_of(capsys)
    assert metrics.read_bytes() == before


def test_a_run_says_which_student_it_wrote(folder: Path) -> None:
    student, result = (json.loads((folder / name).read_text()) for name in ("student.json", "result.json"))
    found = hashlib.sha256((folder / "student.safetensors").read_bytes()).hexdigest()
    assert student["sha256"] == result["student_sha256"] == found
