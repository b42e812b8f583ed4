"""A run folder that was moved to another machine, where nothing of the first one lies."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from beliefmatch import load_student
from beliefmatch.cli import main
from beliefmatch.errors import FolderError
from beliefmatch.measurement.run import measure_run
from beliefmatch.networks.loading.network import make_network
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from tiny import HERE

WORDS = ("--mean", "0", "--std", "1", "--shape", "1", "8", "8", "--rounds", "2", "--batch-size", "4")


def transfer(folder: Path, teacher: Path, student: str, *more: str) -> int:
    networks = ("--teacher", "convnet_4", "--teacher.weights", str(teacher), "--student", student)
    return main(["transfer", "noise", *networks, *WORDS, "--folder", str(folder), *more])


def test_a_moved_run_folder_loads_measures_and_resumes(tmp_path: Path) -> None:
    first, folder = tmp_path / "first", tmp_path / "second" / "run"
    first.mkdir()
    teacher = first / TEACHER_FILE
    save_file(make_network("convnet_4", in_channels=1, num_classes=10).state_dict(), teacher)
    shutil.copy(HERE, first / "own.py")
    assert transfer(first / "run", teacher, f"{first / 'own.py'}:make_plain_conv") == 0
    expected = load_student(first / "run", trust_code=True)(torch.ones(2, 1, 8, 8))
    shutil.copytree(first / "run", folder)
    teacher.rename(folder / TEACHER_FILE)
    shutil.rmtree(first)

    with pytest.raises(FolderError, match=r"not here, as in a folder that was moved.*architecture=\"my_file.py:"):
        load_student(folder, trust_code=True)
    student = load_student(folder, architecture=f"{HERE}:make_plain_conv")
    torch.testing.assert_close(student(torch.ones(2, 1, 8, 8)), expected)


def test_the_teacher_of_a_moved_folder_is_found_in_it(tmp_path: Path) -> None:
    first, folder = tmp_path / "first", tmp_path / "second" / "run"
    first.mkdir()
    teacher = first / TEACHER_FILE
    save_file(make_network("convnet_4", in_channels=1, num_classes=10).state_dict(), teacher)
    assert transfer(first / "run", teacher, "convnet_2") == 0
    shutil.copytree(first / "run", folder)
    teacher.rename(folder / TEACHER_FILE)
    shutil.rmtree(first)
    assert measure_run(RunFolder(folder), torch.randn(6, 1, 8, 8)).num_images == 6
    assert transfer(folder, folder / TEACHER_FILE, "convnet_2", "--resume") == 0
    assert transfer(folder, folder / TEACHER_FILE, "convnet_3", "--resume") == 2


def test_an_own_file_may_lie_elsewhere_when_a_run_goes_on(tmp_path: Path) -> None:
    teacher, own = tmp_path / TEACHER_FILE, tmp_path / "other"
    save_file(make_network("convnet_4", in_channels=1, num_classes=10).state_dict(), teacher)
    own.mkdir()
    shutil.copy(HERE, own)
    assert transfer(tmp_path / "run", teacher, f"{HERE}:make_plain_conv") == 0
    assert transfer(tmp_path / "run", teacher, f"{own / HERE.name}:make_plain_conv", "--resume") == 0
