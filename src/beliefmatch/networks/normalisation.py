"""Inputs of known data sets, and what is said where nobody knows those of a network."""

import logging

from beliefmatch.errors import SettingsError
from beliefmatch.log_once import log_once
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.setting_names import Setting, where_known

logger = logging.getLogger(__name__)

CIFAR10 = InputSpec(shape=(3, 32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
CIFAR100 = InputSpec(shape=(3, 32, 32), mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))
SVHN = InputSpec(shape=(3, 32, 32), mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970))
MNIST = InputSpec(shape=(1, 28, 28), mean=(0.1307,), std=(0.3081,))
FASHION_MNIST = InputSpec(shape=(1, 28, 28), mean=(0.2860,), std=(0.3530,))
IMAGENET = InputSpec(shape=(3, 224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
DIGITS = InputSpec(shape=(1, 8, 8), mean=(0.3053,), std=(0.3761,))


def unknown_shape(name: str) -> SettingsError:
    """Return the error of a network, by its name, whose inputs have a shape that nobody says."""
    dataset = where_known(", or what it was trained on, such as {}", Setting("dataset", "cifar10"))
    return SettingsError(
        f"{Setting('shape')} is missing: {name} does not say what inputs it takes; give the shape of one input, such "
        f"as 3 32 32 for colour images or 64 for a vector{dataset}"
    )


def warn_of_default_normalisation(spec: InputSpec) -> None:
    """Write a warning to the log where a normalisation is a default, and what follows if it is wrong."""
    if spec.normalisation_from != "default":
        return
    if spec.mean is None and spec.std is None:
        log_once(
            logger,
            logging.WARNING,
            "no %s/%s given; assuming raw pixels in [0, 1]. If your teacher was trained with normalisation, "
            "results will be wrong.",
            Setting("mean"),
            Setting("std"),
        )
    else:
        log_once(
            logger,
            logging.WARNING,
            "no %s%s and %s given; assuming %s. If your teacher was trained with another normalisation, results "
            "will be wrong.",
            where_known("{}, or ", Setting("dataset")),
            Setting("mean"),
            Setting("std"),
            spec.describe_normalisation(),
        )
