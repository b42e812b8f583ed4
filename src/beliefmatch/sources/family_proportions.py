"""How many procedural images of each family are drawn, so that pixels are as bright as the teacher's training data.

Images are normalised by mean and standard deviation of the data that a teacher was trained on. So these two are known
without the data, and they say much: figures of curves on black are as dark as handwritten digits, dead leaves as bright
and even as photographs. Weights of maximum entropy under which drawn images have both say how much of each family is
wanted; see `functional.maximum_entropy`. This use of them is ours.
"""

import functools

import torch
from torch import Tensor

from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.maximum_entropy import maximum_entropy_weights
from beliefmatch.functional.strokes import curves
from beliefmatch.functional.textures import areas
from beliefmatch.networks.inputs import InputSpec

FAMILIES = (dead_leaves, areas, curves)
DRAWN, LARGEST = 256, 32
"""Images of each family that are drawn to see what they are like, and their largest side."""
MIN_EFFECTIVE = 0.05
"""Effective sample size of their weights at least, as part of all of them."""
LEAST = 0.05
"""Proportion that a family keeps, if it has one: two numbers do not say that none of it is needed."""
CLEAR = 0.95
"""Part of the largest variance that pixels in [0, 1] can have, below which a variance is taken for one of images."""


@functools.cache
def match_normalisation(spec: InputSpec, proportions: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return proportions of dead leaves, areas and curves under which pixels have the mean and std of a normalisation.

    Args:
        spec: of images.
        proportions: to stay near to, sum 1. A family that has none gets none.

    Returns:
        Likewise, in hundredths; the same where mean and std are not known, or cannot be statistics of images.
    """
    if not are_statistics(spec):
        return proportions
    random = torch.Generator().manual_seed(0)
    shape = (spec.shape[0], *(min(side, LARGEST) for side in spec.shape[1:]))
    drawn = torch.cat([draw(DRAWN, shape, random, torch.float32) for draw in FAMILIES])
    prior = torch.tensor(proportions).repeat_interleave(DRAWN)
    there = prior > 0
    found = maximum_entropy_weights(_moments(drawn[there], spec), MIN_EFFECTIVE * int(there.sum()), prior[there])
    weights = torch.zeros_like(prior)
    weights[there] = found.weights
    wanted = weights.view(len(FAMILIES), DRAWN).sum(dim=1)
    kept = torch.where(torch.tensor(proportions) > 0, wanted.clamp_min(LEAST), 0.0)
    leaves, _, bent = (round(fraction, 2) for fraction in (kept / kept.sum()).tolist())
    return leaves, round(1 - leaves - bent, 2), bent


def are_statistics(spec: InputSpec) -> bool:
    """Whether mean and std of a normalisation can be those of pixels in [0, 1], and are no mere convention.

    Pixels with that mean have a variance of mean (1 - mean) at most, and only where all are black or white (Bhatia &
    Davis 2000). Mean and std of 0.5, or of 0 and 1 / 255, are not below it.
    """
    if spec.mean is None or spec.std is None:
        return False
    return all(std**2 < CLEAR * mean * (1 - mean) for mean, std in zip(spec.mean, spec.std, strict=True))


def _moments(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Return how far images (n, channels, height, width) are from mean and variance, (n, 2 * channels)."""
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (spec.mean, spec.std))
    normalised = ((pixels - mean) / std).flatten(start_dim=2)
    return torch.cat([normalised.mean(dim=2), normalised.square().mean(dim=2) - 1], dim=1)
