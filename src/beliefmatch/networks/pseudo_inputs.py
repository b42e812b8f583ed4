"""Inputs drawn from noise alone, to compare a smaller network with the one that it was made from."""

import torch
from torch import Tensor

from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.textures import textures
from beliefmatch.networks.inputs import InputSpec

LEAF_FRACTION, CURVE_FRACTION = 0.6, 0.5
"""Part that are dead leaves, and part of the textures that are curves, as in `sources.procedural_pool`."""


def draw_pseudo_inputs(spec: InputSpec, count: int, *, seed: int = 0) -> Tensor:
    """Draw dead leaves and textures, which are the same in every call.

    Args:
        spec: of the inputs.
        count: how many, at least 2.
        seed: of all draws.

    Returns:
        (count, *spec.shape), float32: normalised as the spec has it, or else of mean 0 and variance about 1.
    """
    random, num_leaves = torch.Generator().manual_seed(seed), round(LEAF_FRACTION * count)
    leaves = dead_leaves(num_leaves, spec.shape, random, torch.float32)
    others = textures(count - num_leaves, spec.shape, random, torch.float32, curve_fraction=CURVE_FRACTION)
    drawn = torch.cat([leaves, others])
    if spec.is_made_of_pixels and spec.mean is not None and spec.std is not None:
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (spec.mean, spec.std))
        return (drawn - mean) / std
    return 12**0.5 * (drawn - 0.5)
