"""Whether examples are on the scale that a network takes: pixels from 0 to 255 or from 0 to 1, normalised or not."""

import logging

from beliefmatch.log_once import log_once
from beliefmatch.networks.examples import AbstractExamples, Images
from beliefmatch.networks.inputs import InputSpec

logger = logging.getLogger(__name__)

SLACK = 1.05
"""How far values may lie outside of what pixels give: crops and resizing overshoot a little."""


def warn_of_scale(examples: AbstractExamples, spec: InputSpec) -> None:
    """Write a warning to the log where images look wrongly scaled: what is measured on them says little then.

    Args:
        examples: that fit the network.
        spec: of its inputs. Those that are no images have no scale to compare with.
    """
    if not spec.is_made_of_pixels or not examples.stored.numel():
        return
    low, high = float(examples.stored.min()), float(examples.stored.max())
    doubt = _doubt_of_pixels(high) if isinstance(examples, Images) else _doubt_of_inputs(low, high, spec)
    if doubt:
        log_once(
            logger,
            logging.WARNING,
            "%s look wrongly scaled: %s. If they are, the numbers are wrong.",
            examples.name or "the examples",
            doubt,
        )


def _doubt_of_pixels(high: float) -> str | None:
    if high > 1:
        return None
    return f"no pixel is above {high:.0f}, and images are taken as uint8 from 0 to 255, so all of them are almost black"


def _doubt_of_inputs(low: float, high: float, spec: InputSpec) -> str | None:
    means, stds = spec.mean or (0.0,), spec.std or (1.0,)
    means, stds = (values * (max(len(means), len(stds)) // len(values)) for values in (means, stds))
    least = min(-mean / std for mean, std in zip(means, stds, strict=True))
    most = max((1 - mean) / std for mean, std in zip(means, stds, strict=True))
    taken, cannot = "numbers that are not uint8 are taken as network inputs, ", "but pixels "
    if spec.mean is None and spec.std is None:
        taken, cannot = f"{taken}here pixels in [0, 1] as they are", f"{cannot}in [0, 1] cannot"
    else:
        by = f"normalised by {spec.describe_normalisation()}"
        taken, cannot = f"{taken}already {by}", f"{cannot}{by} cannot"
    if low >= 0 and high > 2 * most and high > 2:
        return f"they go up to {high:.4g}, as pixels from 0 to 255 do, but {taken}: divide by 255 first, or give uint8"
    if low >= 0 > least and high <= 1:
        return f"all are from 0 to 1, as pixels are, but {taken}: normalise them first, or give uint8 from 0 to 255"
    if low >= 0 > least:
        return f"all are at least 0, as pixels are, but {taken}: normalise them first, or give uint8 from 0 to 255"
    if low < SLACK * min(least, -0.01) or high > SLACK * most:
        return f"they go from {low:.3g} to {high:.3g}, {cannot}"
    return None
