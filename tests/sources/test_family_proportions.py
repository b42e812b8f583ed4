"""Proportions of the families of procedural images follow the mean and std that inputs are normalised by."""

from dataclasses import replace

import pytest
import torch

from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.textures import textures
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.family_proportions import LEAST, are_statistics, match_normalisation
from beliefmatch.sources.procedural_pool import ProceduralPool
from tiny import make_conv_teacher, make_mlp_teacher

USUAL = (0.6, 0.2, 0.2)
MNIST = InputSpec(shape=(1, 28, 28), mean=(0.1307,), std=(0.3081,))
CIFAR10 = InputSpec(shape=(3, 32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))


def pixels_of(proportions: tuple[float, float, float], shape: tuple[int, ...]) -> torch.Tensor:
    """Draw images in such proportions, from another seed than the proportions were found with."""
    random = torch.Generator().manual_seed(1)
    leaves, flat, bent = (round(1000 * each) for each in proportions)
    others = textures(flat + bent, shape, random, torch.float32, curve_fraction=bent / (flat + bent))
    return torch.cat([dead_leaves(leaves, shape, random, torch.float32), others])


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ((0.1307,), (0.3081,), True),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True),
        ((0.5,), (0.5,), False),
        ((0.0,), (1.0,), False),
        ((0.0,), (1 / 255,), False),
        ((0.4, 0.5), (0.2, 0.5), False),
        (None, None, False),
        ((0.3,), None, False),
    ],
)
def test_a_convention_is_not_taken_for_statistics(
    mean: tuple[float, ...] | None, std: tuple[float, ...] | None, *, expected: bool
) -> None:
    spec = InputSpec(shape=(len(mean or (0.0,)), 8, 8), mean=mean, std=std)
    assert are_statistics(spec) is expected
    if not expected:
        assert match_normalisation(spec, USUAL) == USUAL


@pytest.mark.parametrize("spec", [MNIST, CIFAR10])
def test_images_come_nearer_to_the_mean_of_the_normalisation(spec: InputSpec) -> None:
    found = match_normalisation(spec, USUAL)
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0.9 * LEAST
    assert spec.mean
    before, after = (
        float(pixels_of(each, spec.shape).mean()) - sum(spec.mean) / len(spec.mean) for each in (USUAL, found)
    )
    assert abs(after) < 0.7 * abs(before)


def test_digits_on_black_get_curves_and_photographs_get_leaves() -> None:
    assert match_normalisation(MNIST, USUAL)[2] > 0.5
    assert match_normalisation(CIFAR10, USUAL)[0] > 0.7


def test_a_family_without_a_share_gets_none() -> None:
    assert match_normalisation(MNIST, (1.0, 0.0, 0.0)) == (1.0, 0.0, 0.0)
    leaves, flat, bent = match_normalisation(MNIST, (0.5, 0.5, 0.0))
    assert bent == 0
    assert leaves + flat == 1


def test_the_source_draws_in_these_proportions_unless_told_not_to() -> None:
    spec = replace(MNIST, shape=(1, 8, 8))
    leaves, flat, bent = match_normalisation(spec, USUAL)
    found = ProceduralPool().resolve(Teacher(make_conv_teacher(), spec))
    assert found.leaf_fraction == leaves
    assert found.curve_fraction == pytest.approx(bent / (flat + bent))
    kept = ProceduralPool(match_normalisation=False).resolve(Teacher(make_conv_teacher(), spec))
    assert (kept.leaf_fraction, kept.curve_fraction) == (
        ProceduralPool().leaf_fraction,
        ProceduralPool().curve_fraction,
    )


def test_vectors_have_no_families_to_choose_from() -> None:
    teacher = Teacher(make_mlp_teacher(), InputSpec(shape=(12,)))
    assert ProceduralPool().resolve(teacher).leaf_fraction == ProceduralPool().leaf_fraction
