"""What inputs are taken to be, and who is said to know it."""

from dataclasses import replace
from typing import Any

import pytest

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.normalisation import CIFAR10, IMAGENET, MNIST, SVHN, warn_of_default_normalisation
from beliefmatch.recipes.datasets import choose_augmentation, choose_inputs
from beliefmatch.setting_names import Names, calling_settings

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
GREY = InputSpec(shape=(1, 28, 28))
TOLD = InputSpec(shape=(3, 64, 64), mean=MEAN, std=STD, normalisation_from="checkpoint")
TOLD_NONE = InputSpec(shape=(3, 32, 32), normalisation_from="checkpoint")
CONFIGURED = InputSpec(shape=(3, 224, 224), mean=MEAN, std=STD, normalisation_from="default")
SHAPE_ALONE = InputSpec(shape=(3, 64, 64))
SAID = {"mean": MEAN, "std": STD}


@pytest.mark.parametrize(
    ("given", "known", "expected", "source"),
    [
        ({"dataset": "cifar10"}, None, CIFAR10, "user"),
        ({"dataset": "svhn"}, None, SVHN, "user"),
        ({"dataset": "svhn", "shape": (3, 32, 32)}, None, SVHN, "user"),
        (SAID | {"dataset": "cifar10"}, None, replace(CIFAR10, mean=MEAN, std=STD), "user"),
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
        ({"std": (1.0,)}, TOLD, replace(TOLD, std=(1.0, 1.0, 1.0)), "checkpoint"),
        (SAID, TOLD_NONE, replace(TOLD_NONE, mean=MEAN, std=STD), "user"),
        ({}, TOLD_NONE, TOLD_NONE, "checkpoint"),
        ({}, InputSpec(shape=(3, 32, 32)), InputSpec(shape=(3, 32, 32)), "default"),
        ({"dataset": "svhn"}, InputSpec(shape=(3, 32, 32)), SVHN, "user"),
        ({"dataset": "svhn"}, SHAPE_ALONE, SHAPE_ALONE, "default"),
        ({"dataset": "mnist"}, None, MNIST, "user"),
        ({"dataset": "imagenet"}, None, IMAGENET, "user"),
        ({}, CONFIGURED, CONFIGURED, "default"),
        ({"dataset": "cifar10"}, CONFIGURED, CIFAR10, "user"),
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


def test_crops_are_the_papers_for_cifar_alone() -> None:
    assert choose_augmentation(None, "cifar10", None) == choose_augmentation(None, "cifar100", None) == "crop_flip"
    assert choose_augmentation(None, "svhn", None) == choose_augmentation(None, None, (1, 28, 28)) == "none"
    assert choose_augmentation(None, None, None) == choose_augmentation(None, "cifar10", (3, 48, 48)) == "none"


@pytest.mark.parametrize(
    ("given", "known", "source"),
    [
        ({"dataset": "cifar10"}, None, "user"),
        ({"shape": (1, 28, 28)}, None, "user"),
        ({"shape": (3, 48, 48)}, TOLD, "user"),
        ({}, TOLD, "checkpoint"),
        ({}, InputSpec(shape=(3, 32, 32)), "checkpoint"),
        (SAID, SHAPE_ALONE, "checkpoint"),
    ],
)
def test_a_spec_says_who_knows_its_shape(given: dict[str, Any], known: InputSpec | None, source: str) -> None:
    settings: dict[str, Any] = {"dataset": None, "shape": None, "mean": None, "std": None} | given
    assert choose_inputs(**settings, known=known).shape_from == source


@pytest.mark.parametrize("given", [{}, SAID])
def test_a_shape_that_nobody_says_is_asked_for(given: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"dataset": None, "shape": None, "mean": None, "std": None} | given
    with calling_settings(Names(are_flags=True)), pytest.raises(SettingsError) as error:
        choose_inputs(**settings, name="cifar_resnet_20")
    assert str(error.value) == (
        "--shape is missing: cifar_resnet_20 does not say what inputs it takes; give the shape of one input, such as 3 "
        "32 32 for colour images or 64 for a vector, or what it was trained on, such as --dataset cifar10"
    )


def test_no_normalisation_is_taken_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_default_normalisation(choose_inputs(None, (3, 64, 64), None, None))
    assert caplog.messages == [
        "no mean/std given; assuming raw pixels in [0, 1]. If your teacher was trained with normalisation, results "
        "will be wrong."
    ]


def test_one_number_serves_all_channels() -> None:
    assert choose_inputs("cifar10", None, (0.5,), (0.25,)) == replace(CIFAR10, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.mark.parametrize(("mean", "std"), [((125.0, 123.0, 114.0), (63.0, 62.0, 66.7)), ((0.5,), (58.0,))])
def test_a_scale_of_0_to_255_is_refused_with_the_right_numbers(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    flags = calling_settings(Names(are_flags=True))
    with flags, pytest.raises(SettingsError, match="on a scale of 0 to 255") as error:
        choose_inputs(None, (3, 32, 32), mean, std)
    if len(mean) == 3:
        assert str(error.value) == (
            "--mean 125 123 114 and --std 63 62 66.7 are on a scale of 0 to 255, but pixels are scaled to [0, 1] here; "
            "give --mean 0.4902 0.4824 0.4471 --std 0.2471 0.2431 0.2616"
        )


def test_vectors_may_have_constants_of_any_size() -> None:
    assert choose_inputs(None, (2,), (125.0, 3.0), (60.0, 1.0)).mean == (125.0, 3.0)


def test_a_timm_models_own_configuration_is_used() -> None:
    pytest.importorskip("timm")
    known = Network(architecture="timm:resnet18").known_inputs()
    assert known is not None
    found = choose_inputs(None, None, None, None, known)
    assert (found.shape, found.shape_from, found.normalisation_from) == ((3, 224, 224), "checkpoint", "default")
    assert found.std == (0.229, 0.224, 0.225)
    grey = Network(architecture="timm:resnet18?in_chans=1").known_inputs()
    assert grey is not None
    assert (grey.shape, grey.mean) == ((1, 224, 224), None)
