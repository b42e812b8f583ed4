"""Mean and standard deviation of known data sets, and the warning of a default normalisation."""

import logging

from beliefmatch.networks.inputs import InputSpec

logger = logging.getLogger(__name__)

CIFAR10 = InputSpec(shape=(3, 32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
SVHN = InputSpec(shape=(3, 32, 32), mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970))
DIGITS = InputSpec(shape=(1, 8, 8), mean=(0.3053,), std=(0.3761,))


def warn_of_default_normalisation(spec: InputSpec) -> None:
    """Write a warning to the log where a normalisation is a default."""
    if spec.normalisation_from == "default":
        logger.warning(
            "nobody said how the teacher's inputs were normalised: assumed is %s; say --dataset, or --mean and --std",
            spec.describe_normalisation(),
        )
