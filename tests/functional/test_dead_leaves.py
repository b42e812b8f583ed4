import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from beliefmatch.functional.dead_leaves import MIRRORED, dead_leaves


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


SHAPES = [(1, 28, 28), (3, 32, 32), (5, 7, 9), (3, 2, 16), (2, 64), (3, 4, 5, 6), (1, 1, 64), (64,), (3, 1), (2, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leaves_fill_the_range_of_pixels_and_hardly_two_are_alike(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    drawn = dead_leaves(60, shape, draws(), dtype)
    assert drawn.shape == (60, *shape)
    assert drawn.dtype == dtype
    assert drawn.isfinite().all()
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert 0.2 < float(drawn.std()) < 0.5
    # Some are all dark or all bright.
    assert len(drawn.flatten(1).unique(dim=0)) >= 56


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 40), (6,)], ids=str)
def test_one_image_can_be_drawn(shape: tuple[int, ...]) -> None:
    drawn = dead_leaves(1, shape, draws(2), torch.float32)
    assert drawn.shape == (1, *shape)
    assert drawn.isfinite().all()


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, second, third = (dead_leaves(4, (3, 8, 8), draws(seed), torch.float32) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


class Waiting(TorchDispatchMode):
    """Names of what makes a host wait for its device: values that it reads, and shapes that depend on values."""

    WAIT = ("_local_scalar_dense", "nonzero", "masked_select", "item", "unique", "equal", "index.Tensor")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found += [str(func) for name in self.WAIT if name in str(func)]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 16), (6,)], ids=str)
def test_nothing_waits_for_the_device(shape: tuple[int, ...]) -> None:
    with Waiting() as waiting:
        dead_leaves(4, shape, draws(), torch.float32)
    assert waiting.found == []


def test_only_the_given_generator_draws() -> None:
    before = torch.get_rng_state()
    dead_leaves(4, (3, 8, 8), draws(), torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("width", [16, 17])
def test_about_half_of_the_images_are_symmetric(width: int) -> None:
    drawn = dead_leaves(600, (3, 12, width), draws(), torch.float32)
    seen = drawn.flatten(1).std(dim=1) > 0.05
    symmetric = (drawn == drawn.flip(3)).flatten(1).all(dim=1)[seen].double().mean()
    assert abs(float(symmetric) - MIRRORED) < 0.08
    upside_down = (drawn == drawn.flip(2)).flatten(1).all(dim=1)[seen].double().mean()
    assert upside_down < 0.02


def test_signals_are_not_symmetric() -> None:
    drawn = dead_leaves(200, (3, 64), draws(), torch.float32)
    seen = drawn.flatten(1).std(dim=1) > 0.05
    assert (drawn == drawn.flip(2)).flatten(1).all(dim=1)[seen].double().mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64), (2, 1, 64)], ids=str)
def test_nearly_all_images_show_something_with_edges(shape: tuple[int, ...]) -> None:
    drawn = dead_leaves(300, shape, draws(), torch.float64)
    assert (drawn.flatten(1).std(dim=1) > 0.02).double().mean() > 0.9
    steps = drawn.diff(dim=-1).abs().flatten(1).amax(dim=1)
    assert (steps > 0.15).double().mean() > 0.6


def test_differences_have_heavier_tails_than_those_of_noise() -> None:
    steps = dead_leaves(300, (1, 32, 32), draws(), torch.float64).diff(dim=-1)
    assert steps.pow(4).mean() / steps.square().mean() ** 2 > 8, "3 for normal noise"


def test_some_grounds_are_dark_and_some_bright() -> None:
    drawn = dead_leaves(500, (3, 24, 24), draws(), torch.float32).flatten(1)
    dark, bright = ((drawn == value).double().mean(dim=1) > 0.5 for value in (0, 1))
    assert 0.05 < float(dark.double().mean()) < 0.3
    assert 0.03 < float(bright.double().mean()) < 0.3


def test_channels_are_alike_to_different_degrees() -> None:
    drawn = dead_leaves(300, (2, 16, 16), draws(), torch.float64).flatten(2)
    drawn = drawn[(drawn.std(dim=2) > 0.02).all(dim=1)]
    alike = torch.stack([torch.corrcoef(example)[0, 1] for example in drawn])
    assert alike.min() < -0.5
    assert (alike > 0.9).double().mean() > 0.2
    grey = dead_leaves(8, (1, 16, 16), draws(), torch.float64)
    assert (grey.flatten(1).std(dim=1) > 0.02).any()


def test_all_parts_of_an_image_are_covered_by_objects() -> None:
    drawn = dead_leaves(800, (1, 16, 24), draws(), torch.float64)
    deviation = drawn.std(dim=0)
    assert deviation.min() > 0.8 * deviation.max()
    assert math.isclose(float(drawn[..., :12].mean()), float(drawn[..., 12:].mean()), abs_tol=0.03)
