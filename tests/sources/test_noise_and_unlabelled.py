"""Inputs that nobody makes: noise, and images of anything."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from beliefmatch.errors import ExamplesError
from beliefmatch.functional.diversity import diversity
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.loop import run_round
from tiny import begin, tiny_transfer, vector_transfer

IMAGES = Path(__file__).parents[1] / "contract" / "images.npz"


def started(source: Any, transfer: Any = None, batch_size: int = 8) -> tuple[Any, ...]:
    transfer = replace(transfer or tiny_transfer(), source=source, batch_size=batch_size)
    return begin(transfer)


def test_normal_noise_has_mean_0_and_variance_1() -> None:
    transfer, state, _, fabric = started(Noise(student_steps=1), batch_size=512)
    (batch,) = transfer.source.batches(state.source, fabric)
    assert batch.inputs.mean().abs() < 0.02
    assert (batch.inputs.var() - 1).abs() < 0.03


def test_uniform_noise_covers_all_pixels() -> None:
    transfer, state, teacher, fabric = started(Noise(student_steps=1, distribution="uniform"), batch_size=512)
    (batch,) = transfer.source.batches(state.source, fabric)
    counts = torch.histc(teacher.spec.to_pixels(batch.inputs), bins=10, min=0, max=1)
    assert (counts / counts.mean() - 1).abs().max() < 0.1


def test_uniform_noise_of_vectors_has_variance_1() -> None:
    transfer, state, _, fabric = started(
        Noise(student_steps=1, distribution="uniform"), transfer=vector_transfer(), batch_size=512
    )
    (batch,) = transfer.source.batches(state.source, fabric)
    assert (batch.inputs.var() - 1).abs() < 0.05


def test_the_teacher_runs_once_on_each_image_when_the_run_starts() -> None:
    transfer, state, teacher, fabric = started(Unlabelled(images=IMAGES, student_steps=3))
    passes: list[int] = []
    teacher.module.register_forward_pre_hook(lambda *_: passes.append(1))
    found = run_round(transfer, state, teacher, fabric)
    assert not passes
    assert found["student_loss"].shape == (3,)
    assert transfer.source.metadata(state.source) == {"images": str(IMAGES), "num_images": 40}


@pytest.mark.parametrize("kind", [Unlabelled, FewShot])
def test_diversity_is_that_before_images_are_augmented(kind: type[Any], tmp_path: Path) -> None:
    """Crops and mirror images of one image differ from one another, and one image is all that there is."""
    random, labels = np.random.default_rng(0), np.arange(20) % 10
    images = random.integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "alike.npz", images=images[:1].repeat(20, axis=0), labels=labels)
    np.savez(tmp_path / "others.npz", images=images, labels=labels)
    found = {}
    for name in ("alike", "others"):
        source = kind(images=tmp_path / f"{name}.npz", augmentation="crop_flip")
        transfer, state, teacher, fabric = started(source)
        found[name] = run_round(transfer, state, teacher, fabric)["batch_diversity"]
        (batch, *_) = transfer.source.batches(state.source, fabric)
        assert diversity(batch.inputs) > 0.3
    assert found["alike"].max() < 1e-3
    assert found["others"].min() > 0.3


def test_a_number_of_images_can_be_taken() -> None:
    _, state, *_ = started(Unlabelled(images=IMAGES, num_images=7))
    assert state.source.pool.held == 7
    _, state, *_ = started(Unlabelled(images=IMAGES).for_preflight())
    assert state.source.pool.held == 2


def test_a_folder_of_images_of_any_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name, size in (("b.png", (8, 8)), ("more/a.JPG", (20, 13)), ("c.png", (31, 9))):
        Image.fromarray(np.full((*size, 3), 200, dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    transfer, state, teacher, fabric = started(Unlabelled(images=tmp_path, student_steps=1))
    assert state.source.pool.held == 3
    shown = teacher.spec.to_pixels(transfer.source.samples(state.source, fabric))
    torch.testing.assert_close(shown, torch.full_like(shown, 200 / 255), rtol=0, atol=0.01)


def test_images_of_another_size_are_resized(tmp_path: Path) -> None:
    np.savez(tmp_path / "large.npz", images=np.zeros((5, 20, 30, 1), dtype=np.uint8))
    _, state, *_ = started(Unlabelled(images=tmp_path / "large.npz"))
    assert state.source.pool.stored.shape == (5, 1, 8, 8)


def test_images_that_do_not_serve_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="no image files in"):
        started(Unlabelled(images=tmp_path))
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(ExamplesError, match=r"broken.png cannot be read as an image"):
        started(Unlabelled(images=tmp_path))
    np.savez(tmp_path / "colour.npz", images=np.zeros((5, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(ExamplesError, match="images have 3 channels, the network takes 1"):
        started(Unlabelled(images=tmp_path / "colour.npz"))
    with pytest.raises(ExamplesError, match=r"inputs of shape \(12,\), which images cannot give"):
        started(Unlabelled(images=IMAGES), transfer=vector_transfer())
