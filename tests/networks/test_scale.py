"""Images that look wrongly scaled are warned of; those on the right scale are not."""

import logging

import pytest
import torch
from torch import Tensor

from beliefmatch.networks.examples import AbstractExamples, Images, Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.scale import warn_of_scale

NORMALISED = InputSpec(shape=(1, 4, 4), mean=(0.5,), std=(0.25,), normalisation_from="user")
RAW = InputSpec(shape=(1, 4, 4))


def inputs(low: float, high: float) -> Inputs:
    return Inputs(inputs=torch.linspace(low, high, 32).reshape(2, 1, 4, 4))


def images(most: int) -> Images:
    pixels: Tensor = torch.linspace(0, most, 32).to(torch.uint8)
    return Images(images=pixels.reshape(2, 4, 4, 1))


@pytest.mark.parametrize(
    ("examples", "spec", "doubt"),
    [
        (inputs(-2, 2), NORMALISED, None),
        (inputs(-0.5, 0.5), NORMALISED, None),
        (inputs(0, 1), NORMALISED, "all are from 0 to 1, as pixels are"),
        (inputs(0, 1.5), NORMALISED, "all are at least 0"),
        (inputs(0, 255), NORMALISED, "go up to 255, as pixels from 0 to 255 do"),
        (inputs(-9, 9), NORMALISED, "go from -9 to 9, but pixels normalised by mean 0.5, std 0.25 cannot"),
        (inputs(0, 1), RAW, None),
        (inputs(0.1, 0.2), RAW, None),
        (inputs(0, 255), RAW, "go up to 255, as pixels from 0 to 255 do"),
        (inputs(-2, 2), RAW, "go from -2 to 2, but pixels in [0, 1] cannot"),
        (images(255), NORMALISED, None),
        (images(1), NORMALISED, "no pixel is above 1"),
        (images(0), RAW, "no pixel is above 0"),
        (Inputs(inputs=255 * torch.rand(3, 5)), InputSpec(shape=(5,)), None),
    ],
)
def test_examples_on_another_scale_are_warned_of(
    examples: AbstractExamples, spec: InputSpec, doubt: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_scale(examples, spec)
    assert len(caplog.messages) == (doubt is not None)
    assert (doubt or "") in caplog.text
    assert "Warning" not in caplog.text.replace("WARNING", ""), "whoever shows a warning names it as one"
