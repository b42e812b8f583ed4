"""Normalisation that an exported file is written and checked with, and who knows it."""

from dataclasses import replace

from beliefmatch.errors import SettingsError
from beliefmatch.export.graph import Pixels
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.schema.export import Export, NormalisationFrom
from beliefmatch.setting_names import Setting

KNOWN_FROM: dict[NormalisationFrom | None, str] = {
    "user": "as the user gave it",
    "checkpoint": "as the teacher's own name or file gives it",
    "default": "a default, since neither the user nor the teacher's file gave one",
    None: "whose origin the run does not record",
}


def deployed_spec(spec: InputSpec, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> InputSpec:
    """Return the inputs of a student with the normalisation that the user gives, or else the run's.

    Raises:
        SettingsError: inputs are no images, or the values do not fit their channels.
    """
    if mean is None and std is None:
        return spec
    if not spec.is_made_of_pixels:
        raise SettingsError(
            f"inputs of shape {spec.shape} are no images: leave out {Setting('mean')} and {Setting('std')}"
        )
    return replace(
        spec,
        mean=mean or spec.mean,
        std=std or spec.std,
        normalisation_from="user" if mean and std else spec.normalisation_from,
    )


def check_normalisation(spec: InputSpec, pixels: Pixels | None, *, assume: bool) -> None:
    """Check that a file which normalises pixels itself does so by the user's or the checkpoint's values.

    Raises:
        SettingsError: it is a default, and the user does not allow that.
    """
    if pixels is None or assume or spec.is_normalisation_known:
        return
    raise SettingsError(
        f"the file would normalise pixels by a default of the run ({spec.describe_normalisation()}): add "
        f"{Setting('mean')} and {Setting('std')} as the teacher was trained with, or "
        f"{Setting('assume_normalisation', value=True)} if that is right"
    )


def spec_of(export: Export, spec: InputSpec) -> InputSpec:
    """Return the inputs of an exported file: the run's, with the normalisation that the file was checked with."""
    if export.normalisation_from is None:
        return spec
    mean, std = (None if values is None else tuple(values) for values in (export.mean, export.std))
    return replace(spec, mean=mean, std=std, normalisation_from=export.normalisation_from)


def best_known(specs: list[InputSpec]) -> InputSpec:
    """Return the first whose normalisation somebody knows, or else the first."""
    return next((spec for spec in specs if spec.is_normalisation_known), specs[0])


def constants_of(spec: InputSpec) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel, in pixels scaled to [0, 1]."""
    channels = spec.shape[0]
    return list(spec.mean or (0.0,) * channels), list(spec.std or (1.0,) * channels)
