"""Few real images: which are chosen, how often each is seen, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.training.loop import run_round
from tiny import begin, tiny_transfer

IMAGES = Path(__file__).parents[1] / "contract" / "images.npz"


def started(batch_size: int = 8, seed: int = 0, **settings: Any) -> tuple[Any, ...]:
    source = FewShot(**{"images": IMAGES, "images_per_class": 3} | settings)
    transfer, state, teacher, fabric = begin(
        replace(tiny_transfer(batch_size=batch_size, seed=seed), source=source, objective=Distillation())
    )
    return source, state.source, fabric, (transfer, state, teacher)


def test_the_subset_is_balanced_and_another_for_each_seed() -> None:
    found = []
    for seed in (0, 0, 1):
        source, state, _, _ = started(seed=seed)
        facts = source.metadata(state)
        assert len(set(facts["indices"])) == 30
        with np.load(IMAGES) as file:
            assert np.bincount(file["labels"][facts["indices"]]).tolist() == [3] * 10
            stored = torch.from_numpy(file["images"][facts["indices"]]).permute(0, 3, 1, 2)
        assert torch.equal(stored, state.stored)
        found.append(facts["indices"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("batch_size", "expected"), [(8, 8), (30, 30), (128, 30)])
def test_every_image_is_seen_equally_often(batch_size: int, expected: int) -> None:
    source, state, fabric, _ = started(batch_size=batch_size)
    state.stored = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1).expand(30, 1, 8, 8)
    seen = torch.zeros(30)
    for _ in range(30):
        (batch,) = source.batches(state, fabric)
        assert len(batch.inputs) == expected
        pixels = (state.spec.to_pixels(batch.inputs)[:, 0, 0, 0] * 255).round().long()
        assert torch.equal(batch.labels, state.labels[pixels])
        seen += pixels.bincount(minlength=30)
    assert seen.max() - seen.min() <= 1


def test_augmentation_changes_images_and_keeps_their_labels() -> None:
    plain, augmented = (started(augmentation=name) for name in ("none", "crop_flip"))
    (first,) = plain[0].batches(plain[1], plain[2])
    (second,) = augmented[0].batches(augmented[1], augmented[2])
    assert torch.equal(first.labels, second.labels)
    assert not torch.equal(first.inputs, second.inputs)


def test_all_images_are_taken_where_no_number_is_given() -> None:
    source, state, _, _ = started(images_per_class=None)
    assert source.metadata(state)["indices"] == list(range(40))


def test_a_round_is_one_step_on_one_batch() -> None:
    *_, (transfer, state, teacher) = started()
    record = run_round(transfer, state, teacher, begin(transfer)[3])
    assert record["student_loss"].shape == (1,)
    assert "generator_loss" not in record


def test_double_precision_reaches_the_networks() -> None:
    source = FewShot(images=IMAGES, images_per_class=3)
    transfer, state, teacher, fabric = begin(
        replace(tiny_transfer(), source=source, objective=Distillation()), precision="64-true"
    )
    assert run_round(transfer, state, teacher, fabric)["student_loss"].dtype == torch.float64


def test_more_images_than_the_smallest_class_has_are_refused() -> None:
    with pytest.raises(ExamplesError, match=r"5 examples of each class were asked for; class 0 of .*images.npz has 4"):
        started(images_per_class=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images_per_class": 0}, "source.images_per_class must be above 0"),
        ({"padding": -1}, "source.padding must not be below"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        started(**settings)


def test_labels_that_the_source_does_not_know_are_refused() -> None:
    transfer, state, teacher, fabric = begin(
        replace(tiny_transfer(), source=Adversarial(noise_size=6), objective=Distillation())
    )
    with pytest.raises(SettingsError, match="the source knows no labels"):
        run_round(transfer, state, teacher, fabric)


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", images=np.zeros((4, 8, 8, 1), dtype=np.uint8))
    with pytest.raises(ExamplesError, match="has no array 'labels', and labels are needed"):
        started(images=tmp_path / "bare.npz")


def test_a_label_far_beyond_the_classes_is_refused_and_not_counted_up_to(tmp_path: Path) -> None:
    np.savez(tmp_path / "far.npz", images=np.zeros((2, 8, 8, 1), dtype=np.uint8), labels=np.array([0, 10**15]))
    with pytest.raises(ExamplesError, match="there is a label 1000000000000000"):
        started(images=tmp_path / "far.npz")
