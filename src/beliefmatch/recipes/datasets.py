"""What the paper's two data sets fix: normalisation, and how long to train. No data is read."""

from dataclasses import replace
from typing import Literal

from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10, SVHN
from beliefmatch.runs.schema.export import NormalisationFrom

Dataset = Literal["cifar10", "svhn"]
INPUTS: dict[Dataset, InputSpec] = {"cifar10": CIFAR10, "svhn": SVHN}
USUAL: Dataset = "cifar10"
"""Where the user names none. The normalisation that follows is then a default, not the user's."""


def choose_augmentation(
    augmentation: Augmentation | None, dataset: Dataset | None, shape: tuple[int, ...] | None
) -> Augmentation:
    """Return the user's choice, or else the paper's: crops and mirror images on CIFAR-10 alone."""
    if augmentation is not None:
        return augmentation
    return "crop_flip" if (dataset or USUAL) == "cifar10" and shape is None else "none"


def choose_inputs(
    dataset: Dataset | None,
    shape: tuple[int, ...] | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    known: InputSpec | None = None,
) -> InputSpec:
    """Return the inputs that the user gives, then those of the teacher's checkpoint, then those of the data set.

    A shape of the user's own has its own normalisation, unless the teacher's is known for as many channels, or the user
    named a data set whose inputs have this shape. The data set's normalisation serves inputs of its shape alone.

    Args:
        dataset: what the networks were trained on; None where the user names none.
        shape: of one input, from the user.
        mean: of each channel, from the user.
        std: likewise.
        known: what `Network.known_inputs` returned.

    Returns:
        The spec, with where its normalisation is from: `user` only if the user gave both mean and std.

    Raises:
        SettingsError: mean or std do not fit the shape.
    """
    basis = _basis(dataset, shape, known)
    shape = basis.shape if shape is None else shape
    fits = shape[:1] == basis.shape[:1]
    source: NormalisationFrom | None = basis.normalisation_from if fits else "default"
    if mean and std:
        source = "user"
    elif len(shape) != 3:
        source = None
    return InputSpec(
        shape=shape,
        mean=mean or (basis.mean if fits else None),
        std=std or (basis.std if fits else None),
        normalisation_from=source,
    )


def _basis(dataset: Dataset | None, shape: tuple[int, ...] | None, known: InputSpec | None) -> InputSpec:
    """Return what is known of the inputs without the user's shape, mean and std."""
    usual = replace(INPUTS[dataset or USUAL], normalisation_from="default" if dataset is None else "user")
    if known is None:
        if shape is None or (dataset is not None and shape == usual.shape):
            return usual
        return InputSpec(shape=shape, normalisation_from="default")
    if known.normalisation_from == "checkpoint":
        return known
    return usual if known.shape == usual.shape else replace(known, normalisation_from="default")
