"""Tasks of benchmarks: a teacher of a family that the package does not name is trained, transferred and measured."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mnist_teachers
from beliefmatch.studies.sweep import sweep
from tasks import TASKS, make_transfer, teacher_weights, timed_cell


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a few images in the place of MNIST's, of which a teacher learns the first 1,024."""
    monkeypatch.setattr(mnist_teachers, "NUM_TEACHER_IMAGES", 1024)
    monkeypatch.setattr(mnist_teachers, "NUM_EPOCHS", 1)
    random = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    pixels = random.integers(0, 256, (1056, 28, 28, 1), dtype=np.uint8)
    np.savez(tmp_path / "mnist/train.npz", images=pixels, labels=np.arange(1056) % 10)
    return tmp_path


@pytest.mark.parametrize("name", ["mnist_other_16", "mnist_other_tanh_3"])
def test_a_teacher_of_another_family_is_trained_and_measured(name: str, images: Path, tmp_path: Path) -> None:
    task = TASKS[name]
    arguments = argparse.Namespace(folder=tmp_path / "runs", data=images, share=1.0, rounds=1)

    def transfer(seed: int) -> object:
        weights = teacher_weights(name, images, arguments.folder, seed)
        made = make_transfer(task, "best", weights, seed)
        return replace(made, source=replace(made.source, warm_up=1, student_steps=1, making_steps=1, made_batch=8))

    (row,) = sweep([timed_cell(name, task, transfer, arguments)], [0])  # pyright: ignore[reportArgumentType]
    measured = row.outcomes[0].measured
    assert measured is not None
    held_out = [label for label in np.arange(1024, 1056) % 10 if label < (task.num_outputs or 10)]
    assert measured.num_images == len(held_out)
