"""The images on which two networks disagree most, kept small to be looked at."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from beliefmatch.measurement.predictions import Predictions
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.schema.measurement import Disagreement

MAX_KEPT = 24
"""Images. More are not looked at, and they would weigh down measurement.json."""
MAX_SIDE = 64
"""Pixels. A larger image is shrunk."""
CHANNELS = (1, 3)
"""Numbers of channels that are grey or colours."""


def find_disagreements(
    predictions: Predictions, examples: AbstractExamples, spec: InputSpec
) -> tuple[Disagreement, ...]:
    """Return the images to which two networks give different classes, those with the largest divergence first.

    Args:
        predictions: of both networks on these examples.
        examples: that they were measured on.
        spec: of the inputs of both.

    Returns:
        At most 24 of them; none where the examples are no images.
    """
    if not spec.is_made_of_pixels or spec.shape[0] not in CHANNELS:
        return ()
    differ = (~predictions.alike).nonzero().squeeze(1)
    order = predictions.divergence[differ].argsort(descending=True, stable=True)
    chosen = differ[order[:MAX_KEPT]]
    pixels = examples.to_pixels(spec, chosen).cpu().numpy()
    labels = None if examples.labels is None else examples.labels[chosen].tolist()
    return tuple(
        Disagreement(
            position=int(position),
            label=None if labels is None else labels[number],
            teacher_class=int(predictions.teacher_class[position]),
            student_class=int(predictions.student_class[position]),
            png=encode_png(pixels[number]),
        )
        for number, position in enumerate(chosen.tolist())
    )


def encode_png(pixels: NDArray[np.uint8]) -> str:
    """Return an image as a PNG file in base64, shrunk to at most 64 pixels a side.

    Args:
        pixels: (height, width, channels), with one channel or three.
    """
    # It comes with matplotlib, and is needed for images alone.
    from PIL import Image  # noqa: PLC0415

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
