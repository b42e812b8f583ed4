"""What inputs are taken to be, and who is said to know it."""

from dataclasses import replace
from typing import Any

import pytest

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10, SVHN
from beliefmatch.recipes.datasets import choose_augmentation, choose_inputs

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
GREY = InputSpec(shape=(1, 28, 28))
TOLD = InputSpec(shape=(3, 64, 64), mean=MEAN, std=STD, normalisation_from="checkpoint")
TOLD_NONE = InputSpec(shape=(3, 32, 32), normalisation_from="checkpoint")
SHAPE_ALONE = InputSpec(shape=(3, 64, 64))
SAID = {"mean": MEAN, "std": STD}


@pytest.mark.parametrize(
    ("given", "known", "expected", "source"),
    [
        ({}, None, CIFAR10, "default"),
        ({"dataset": "cifar10"}, None, CIFAR10, "user"),
        ({"dataset": "svhn"}, None, SVHN, "user"),
        ({"dataset": "svhn", "shape": (3, 32, 32)}, None, SVHN, "user"),
        (SAID, None, replace(CIFAR10, mean=MEAN, std=STD), "user"),
        ({"std": STD}, None, replace(CIFAR10, std=STD), "default"),
        ({"std": STD, "dataset": "cifar10"}, None, replace(CIFAR10, std=STD), "user"),
        ({"shape": (1, 28, 28)}, None, GREY, "default"),
        ({"shape": (1, 28, 28), "dataset": "svhn"}, None, GREY, "default"),
        ({"shape": (1, 28, 28), "mean": (0.5,)}, None, replace(GREY, mean=(0.5,)), "default"),
        ({"shape": (1, 28, 28), "mean": (0.5,), "std": (1.0,)}, None, replace(GREY, mean=(0.5,), std=(1.0,)), "user"),
        ({"shape": (64,)}, None, InputSpec(shape=(64,)), None),
        ({"shape": (2, 16)}, None, InputSpec(shape=(2, 16)), None),
        ({}, TOLD, TOLD, "checkpoint"),
        ({"dataset": "svhn"}, TOLD, TOLD, "checkpoint"),
        ({"shape": (3, 48, 48)}, TOLD, replace(TOLD, shape=(3, 48, 48)), "checkpoint"),
        ({"shape": (1, 28, 28)}, TOLD, GREY, "default"),
        ({"std": (1.0, 1.0, 1.0)}, TOLD, replace(TOLD, std=(1.0, 1.0, 1.0)), "checkpoint"),
        (SAID, TOLD_NONE, replace(TOLD_NONE, mean=MEAN, std=STD), "user"),
        ({}, TOLD_NONE, TOLD_NONE, "checkpoint"),
        ({}, InputSpec(shape=(3, 32, 32)), CIFAR10, "default"),
        ({"dataset": "svhn"}, InputSpec(shape=(3, 32, 32)), SVHN, "user"),
        ({"dataset": "svhn"}, SHAPE_ALONE, SHAPE_ALONE, "default"),
        ({}, InputSpec(shape=(12,)), InputSpec(shape=(12,)), None),
    ],
)
def test_a_spec_says_who_knows_its_normalisation(
    given: dict[str, Any], known: InputSpec | None, expected: InputSpec, source: str | None
) -> None:
    settings: dict[str, Any] = {"dataset": None, "shape": None, "mean": None, "std": None} | given
    found = choose_inputs(**settings, known=known)
    assert found == expected
    assert found.normalisation_from == source
    assert found.is_normalisation_known == (source != "default")


def test_who_knows_it_makes_no_other_inputs() -> None:
    assert replace(TOLD, normalisation_from=None) == TOLD
    assert not InputSpec(shape=(3, 8, 8), mean=MEAN, std=STD).is_normalisation_known


def test_crops_are_the_papers_for_cifar10_named_or_not() -> None:
    assert choose_augmentation(None, None, None) == choose_augmentation(None, "cifar10", None) == "crop_flip"
    assert choose_augmentation(None, "svhn", None) == choose_augmentation(None, None, (1, 28, 28)) == "none"
