"""What data sets fix: shape, normalisation and augmentation. No data is read."""

from dataclasses import replace

from beliefmatch.errors import SettingsError, did_you_mean
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.model_settings import Dataset
from beliefmatch.networks.normalisation import CIFAR10, CIFAR100, FASHION_MNIST, IMAGENET, MNIST, SVHN, unknown_shape
from beliefmatch.runs.schema.export import NormalisationFrom
from beliefmatch.setting_names import Setting

INPUTS: dict[Dataset, InputSpec] = {
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "svhn": SVHN,
    "mnist": MNIST,
    "fashion_mnist": FASHION_MNIST,
    "imagenet": IMAGENET,
}


def choose_augmentation(
    augmentation: Augmentation | None, dataset: Dataset | None, shape: tuple[int, ...] | None
) -> Augmentation:
    """Return the user's choice, or else the literature's: crops and mirror images on CIFAR alone."""
    if augmentation is not None:
        return augmentation
    return "crop_flip" if dataset in ("cifar10", "cifar100") and shape is None else "none"


def choose_inputs(
    dataset: Dataset | None,
    shape: tuple[int, ...] | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    known: InputSpec | None = None,
    *,
    name: str = "the network",
) -> InputSpec:
    """Return the inputs that the user gives, then those of the teacher's own name or file.

    A shape of the user's own has its own normalisation, unless the teacher's is known for as many channels, or the user
    named a data set whose inputs have this shape. The data set's normalisation serves inputs of its shape alone.

    Args:
        dataset: what the networks were trained on; None where the user names none.
        shape: of one input, from the user.
        mean: of each channel, from the user.
        std: likewise.
        known: what `Network.known_inputs` returned.
        name: of the network, for errors.

    Returns:
        The spec, with where its shape and its normalisation are from: the latter is `user` only if the user gave both
        mean and std.

    Raises:
        SettingsError: nobody says the shape, mean or std do not fit it, or there is no such data set.
    """
    if dataset is not None and dataset not in INPUTS:
        raise SettingsError(f"no {Setting('dataset')} is called {dataset!r}; {did_you_mean(dataset, INPUTS)}")
    basis = _basis(dataset, shape, known)
    if basis is None:
        raise unknown_shape(name)
    shape_from: NormalisationFrom | None = "user" if shape is not None else basis.shape_from
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
        shape_from=shape_from,
    )


def _basis(dataset: Dataset | None, shape: tuple[int, ...] | None, known: InputSpec | None) -> InputSpec | None:
    """Return what is known of the inputs without the user's mean and std; None: not even their shape.

    A known normalisation that is a default is that of a model's own configuration, whose weights are others: the user's
    data set goes before it.
    """
    of_dataset = None if dataset is None else replace(INPUTS[dataset], normalisation_from="user", shape_from="user")
    if known is None or (known.normalisation_from == "default" and of_dataset is not None):
        if shape is None or (of_dataset is not None and shape == of_dataset.shape):
            return of_dataset
        return InputSpec(shape=shape, normalisation_from="default", shape_from="user")
    known = replace(known, shape_from="checkpoint")
    if known.normalisation_from == "checkpoint":
        return known
    if of_dataset is not None and known.shape == of_dataset.shape and known.normalisation_from is None:
        return replace(of_dataset, shape_from="checkpoint")
    return replace(known, normalisation_from="default")
