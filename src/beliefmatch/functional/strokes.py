"""Figures of a few curves, as a pen draws them on black: from anywhere to anywhere, knowing no data.

Kin of what Baradad et al. 2021, "Learning to See by Looking at Noise", learn from; the settings are ours.
"""

import math

import torch
from torch import Tensor

from beliefmatch.functional.draws import Draws

MOST = 4
"""Curves in a figure."""
DOTS = 32
"""Dots that stand for a curve, near enough to each other for a line."""
CHAINED = 0.6
"""Fraction of the curves that begin where the one before ended."""
BEYOND = 0.05
"""How far outside of its frame a figure may reach, as a fraction of the frame."""
SMALLEST = 0.35
"""Side of the smallest frame, as part of the image's."""
THINNEST, THICKEST = 1 / 45, 1 / 11
"""Half the width of the pen, as part of the shorter side of the image."""
LEAST_THIN, LEAST_THICK = 0.6, 1.2
"""The same in positions, where an image has few."""
SPREAD = 1.5
"""Of a dot, in half widths of the thinnest pen."""
FAR = 40.0
"""Square of the distance, in spreads, that stands for all larger ones: products of smaller numbers are slow."""
HARDNESS = 3.0
"""Of a stroke's border, for each position."""
FAINTEST = 0.5


def curves(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw figures (count, *shape) of one to four quadratic Bezier curves, in [0, 1], bright on black, channels alike.

    Each figure has one pen and a frame of random size. For the arguments see `textures.textures`.
    """
    draws, positions = Draws(count, 2, random, dtype), (shape[1], shape[2])
    shorter = min(positions)
    thinnest, thickest = max(LEAST_THIN, THINNEST * shorter), max(LEAST_THICK, THICKEST * shorter)
    distance = distances(_figures(draws, positions), positions, SPREAD * thinnest)
    drawn = torch.sigmoid(HARDNESS * (draws.log_uniform(thinnest, thickest) - distance))
    return (draws.uniform(FAINTEST, 1) * drawn).expand(count, *shape)


def _figures(draws: Draws, positions: tuple[int, int]) -> Tensor:
    """Draw the corners of polygons, (count, curves, DOTS + 1, 2), in positions; one that is left out is a point."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(draws.count, *shape, generator=draws.random, device=draws.random.device, dtype=draws.dtype)

    starts, bends, ends = ((1 + 2 * BEYOND) * uniform(3, MOST, 2) - BEYOND).unbind(dim=1)
    chained = uniform(MOST - 1, 1) < CHAINED
    starts = torch.cat([starts[:, :1], torch.where(chained, ends[:, :-1], starts[:, 1:])], dim=1)
    along = torch.linspace(0, 1, DOTS + 1, device=starts.device, dtype=draws.dtype)[:, None]
    starts, bends, ends = (point[:, :, None] for point in (starts, bends, ends))
    points = (1 - along) ** 2 * starts + 2 * along * (1 - along) * bends + along**2 * ends
    side = SMALLEST + (1 - SMALLEST) * uniform(1, 1, 1)
    points = side * points + (1 - side) * uniform(1, 1, 2)
    number = 1 + (MOST * uniform(1, 1, 1)).floor()
    there = torch.arange(MOST, device=starts.device)[:, None, None] < number
    down, right = torch.where(there, points, 0).unbind(dim=-1)
    return torch.stack([positions[0] * down, positions[1] * right], dim=-1)


def distances(corners: Tensor, positions: tuple[int, int], spread: float) -> Tensor:
    """Compute the distance of each position to the nearest polygon, (count, 1, height, width), bounded from above.

    Each side of a polygon is a dot, exp(-r^2 / spread^2) at distance r, as heavy as the side is long. Their sum falls
    with the distance from a straight line as one dot's does. Since a dot is a product of a function of the row and one
    of the column, all sums are one matrix product. Where lines meet, they are nearer than they are, as ink is.

    Args:
        corners: (count, polygons, corners, 2), in positions.
        positions: height and width.
        spread: of a dot, in positions; sides must not be much longer.
    """
    weights = corners.diff(dim=2).norm(dim=3).flatten(1) / (math.pi**0.5 * spread)
    dots = (0.5 * (corners[:, :, 1:] + corners[:, :, :-1])).flatten(1, 2)

    def falling(size: int, centres: Tensor) -> Tensor:
        middles = torch.arange(size, device=centres.device, dtype=centres.dtype) + 0.5
        return torch.exp(-((middles - centres[..., None]) / spread).square().clamp_max(FAR))

    down, right = (falling(size, dots[..., axis]) for axis, size in enumerate(positions))
    sums = (weights[..., None] * down).mT @ right
    return spread * sums.clamp(math.exp(-2 * FAR), 1).log().neg().sqrt()[:, None]
