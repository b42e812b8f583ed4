"""What the paper's two data sets fix: normalisation, and how long to train. No data is read."""

from dataclasses import replace
from typing import Literal

from beliefmatch.models.inputs import CIFAR10, SVHN, InputSpec
from beliefmatch.sources.few_shot import Augmentation

Dataset = Literal["cifar10", "svhn"]
INPUTS: dict[Dataset, InputSpec] = {"cifar10": CIFAR10, "svhn": SVHN}


def choose_augmentation(
    augmentation: Augmentation | None, dataset: Dataset, shape: tuple[int, ...] | None
) -> Augmentation:
    """Take what the user chose, or else what the paper did: crops and mirror images on CIFAR-10 alone."""
    if augmentation is not None:
        return augmentation
    return "crop_flip" if dataset == "cifar10" and shape is None else "none"


def choose_inputs(
    dataset: Dataset,
    shape: tuple[int, ...] | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> InputSpec:
    """Take a shape of the user's own with its own normalisation, or else the data set's with what they changed of it.

    Raises:
        SettingsError: mean or std do not fit the shape.
    """
    if shape is not None:
        return InputSpec(shape=shape, mean=mean, std=std)
    known = INPUTS[dataset]
    return replace(known, mean=mean or known.mean, std=std or known.std)
