"""Runs of students that are made of their teacher, by the command and by the API."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import beliefmatch as bm
from beliefmatch.cli import main
from tiny import named

SIZES = ("--shape", 1, 8, 8, "--rounds", 3, "--batch-size", 4, "--accelerator", "cpu", "--display", "quiet")


def transfer(folder: Path, student: str, *words: object, recipe: str = "noise") -> int:
    """Run a recipe of three rounds with the tiny convolutional teacher; return the exit code."""
    teacher = ("--teacher", named("make_conv_teacher"))
    words = ("transfer", recipe, *teacher, "--student", student, *SIZES, "--folder", folder, *words)
    return main([str(word) for word in words])


def check_continues(finished: Path, folder: Path, student: str) -> None:
    """Check that a run which is cut short after two rounds ends with the student of one that was not."""

    class StopError(Exception):
        pass

    def stop(completed: int, _row: object) -> None:
        if completed == 2:
            raise StopError

    transferred = bm.recipes.noise(
        bm.recipes.Setup(
            teacher=bm.Network(architecture=named("make_conv_teacher")),
            student=bm.NamedStudent(architecture=student),
            shape=(1, 8, 8),
            rounds=3,
            batch_size=4,
        )
    )
    options = bm.RunOptions(folder=folder, accelerator="cpu", checkpoint_every=1)
    with pytest.raises(StopError):
        bm.run(transferred, options, progress=False, on_round=stop)
    assert transfer(folder, student, "--checkpoint-every", 1, "--resume") == 0
    first, second = (load_file(each / "student.safetensors") for each in (finished, folder))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
