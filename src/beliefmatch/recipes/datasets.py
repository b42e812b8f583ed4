"""What the paper's two data sets fix: normalisation, and how long to train. No data is read."""

import logging
from typing import Literal

from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.models.inputs import CIFAR10, SVHN, InputSpec

logger = logging.getLogger(__name__)

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
    known: InputSpec | None = None,
) -> InputSpec:
    """Take what the user says of the inputs, then what the teacher's origin knows, then what the data set fixes.

    A shape of the user's own has its own normalisation, unless the teacher's is known for as many channels. The data
    set's normalisation serves inputs of its shape alone.

    Args:
        dataset: what the networks were trained on.
        shape: of one input, from the user.
        mean: of each channel, from the user.
        std: likewise.
        known: what `Network.known_inputs` told.

    Raises:
        SettingsError: mean or std do not fit the shape.
    """
    usual = INPUTS[dataset]
    if known is None:
        known = usual if shape is None else InputSpec(shape=shape)
    elif known.shape == usual.shape and known.mean is None:
        known = usual
        if mean is None or std is None:
            logger.warning(
                "the teacher does not tell how its inputs were normalised: taken to be as for %s; say --mean and --std "
                "if that is wrong",
                dataset,
            )
    shape = known.shape if shape is None else shape
    fits = shape[:1] == known.shape[:1]
    return InputSpec(shape=shape, mean=mean or (known.mean if fits else None), std=std or (known.std if fits else None))
