"""The pool: what goes in comes out, the oldest goes first, and the teacher's answers belong to what is stored."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch.testing import assert_close

from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10, DIGITS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.pool import Pool, make_pool, pixel_range
from beliefmatch.training.precision import make_fabric
from tiny import make_conv_teacher, make_mlp_teacher

FABRIC = make_fabric("cpu", "32-true")
IMAGES = Teacher(make_conv_teacher(), DIGITS)
VECTORS = Teacher(make_mlp_teacher(), InputSpec(shape=(12,)))


def empty(capacity: int = 10, teacher: Teacher = IMAGES, augmentation: Augmentation = "none") -> Pool:
    return make_pool(capacity, teacher, torch.device("cpu"), augmentation=augmentation, padding=2, micro_batch=3)


def images(count: int) -> torch.Tensor:
    pixels = torch.randint(256, (count, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return DIGITS.from_pixels(pixels)


def test_pixels_survive_storage_exactly() -> None:
    pool = empty()
    pool.add(images(7), IMAGES, FABRIC)
    assert pool.stored.dtype == torch.uint8
    assert_close(pool.read(torch.arange(7)), images(7), rtol=0, atol=1e-6)


def test_what_lies_beyond_black_and_white_is_clamped() -> None:
    pool = empty()
    pool.add(torch.full((1, 1, 8, 8), 99.0), IMAGES, FABRIC)
    pool.add(torch.full((1, 1, 8, 8), -99.0), IMAGES, FABRIC)
    assert [int(row.unique()) for row in pool.stored[:2]] == [255, 0]


def test_vectors_are_stored_in_16_bits_without_bounds() -> None:
    pool = empty(teacher=VECTORS)
    inputs = 50 * torch.randn(4, 12)
    pool.add(inputs, VECTORS, FABRIC)
    assert_close(pool.read(torch.arange(4)), inputs.bfloat16().float(), rtol=0, atol=0)


def test_the_newest_take_the_place_of_the_oldest() -> None:
    pool = empty(capacity=10)
    every = images(16)
    for part in every.split(4):
        pool.add(part, IMAGES, FABRIC)
    assert (pool.held, pool.next) == (10, 6)
    assert_close(pool.newest(99), every[6:].flip(0), rtol=0, atol=1e-6)
    assert pool.newest(3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("teacher", [IMAGES, VECTORS])
def test_what_the_teacher_said_belongs_to_what_is_drawn(teacher: Teacher) -> None:
    pool = empty(teacher=teacher)
    pool.add(torch.randn(7, *teacher.spec.shape), teacher, FABRIC)
    batch = pool.draw(20, torch.Generator().manual_seed(0), FABRIC)
    assert batch.teacher_logits is not None
    assert_close(batch.teacher_logits, teacher.outputs(batch.inputs).logits, rtol=1e-5, atol=1e-5)


def test_crops_differ_and_have_no_answers_kept() -> None:
    pool = empty(augmentation="crop_flip")
    pool.add(images(1), IMAGES, FABRIC)
    batch = pool.draw(20, torch.Generator().manual_seed(0), FABRIC)
    assert batch.teacher_logits is None
    assert len(batch.inputs.unique(dim=0)) > 10


def test_vectors_are_never_cropped() -> None:
    pool = empty(teacher=VECTORS, augmentation="crop_flip")
    assert pool.augmentation == "none"
    assert pool.teacher_logits is not None


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop_flip"])
def test_two_processes_draw_what_one_draws(augmentation: Augmentation) -> None:
    pool = empty(augmentation=augmentation)
    pool.add(images(10), IMAGES, FABRIC)
    whole = pool.draw(8, torch.Generator().manual_seed(3), FABRIC).inputs
    halves = [
        pool.draw(4, torch.Generator().manual_seed(3), cast("Any", SimpleNamespace(world_size=2, global_rank=rank)))
        for rank in (0, 1)
    ]
    assert torch.equal(torch.cat([half.inputs for half in halves]), whole)


def test_bounded_images_lie_between_black_and_white_and_hardly_change_in_the_middle() -> None:
    pixels = pixel_range(CIFAR10, torch.device("cpu"), torch.float64)
    assert pixels is not None
    raw = 100 * torch.randn(50, 3, 32, 32, dtype=torch.float64)
    shown = CIFAR10.to_pixels(pixels.bound(raw))
    assert_close(CIFAR10.to_pixels(pixels.black), torch.zeros_like(pixels.black))
    assert_close(CIFAR10.to_pixels(pixels.white), torch.ones_like(pixels.white))
    assert shown.min() >= 0
    assert shown.max() <= 1
    middle = (pixels.black + pixels.white) / 2
    assert_close(pixels.bound(middle + 0.1), middle + 0.1, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "spec", [InputSpec(shape=(12,)), InputSpec(shape=(1, 8, 8)), InputSpec(shape=(2, 33), mean=(0.0, 0.0))]
)
def test_inputs_of_unknown_normalisation_have_no_bounds(spec: InputSpec) -> None:
    assert pixel_range(spec, torch.device("cpu"), torch.float32) is None
