"""Figures of a few curves, as a pen draws them on black: from anywhere to anywhere, knowing no data.

Kin of what Baradad et al. 2021, "Learning to See by Looking at Noise", learn from; the settings are ours.
"""

import torch
from torch import Tensor

from beliefmatch.functional.draws import Draws

MOST = 4
"""Curves in a figure."""
SEGMENTS = 6
"""Straight pieces that a curve is drawn with."""
CHAINED = 0.6
"""Share of the curves that begin where the one before ended."""
BEYOND = 0.05
"""How far outside of its frame a figure may reach, as part of the frame."""
SMALLEST = 0.35
"""Side of the smallest frame, as part of the image's."""
THINNEST, THICKEST = 1 / 45, 1 / 11
"""Half the width of the pen, as part of the shorter side of the image."""
LEAST_THIN, LEAST_THICK = 0.6, 1.2
"""The same in positions, where an image has few."""
HARDNESS = 3.0
"""Of a stroke's border, for each position."""
FAINTEST = 0.5
FAR = 1e4
"""Distance, in positions, from a curve that is not there."""


def curves(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw figures of one to four quadratic Bezier curves, each figure with one pen and in a frame of random size.

    Args:
        count: examples.
        shape: (channels, height, width).
        random: draws, on the device.
        dtype: of what is drawn.

    Returns:
        (count, *shape), in [0, 1], bright on black; channels are alike.
    """
    draws, positions = Draws(count, 2, random, dtype), (shape[1], shape[2])
    distance = _distances(_figures(draws, positions), positions)
    shorter = min(positions)
    thinnest, thickest = max(LEAST_THIN, THINNEST * shorter), max(LEAST_THICK, THICKEST * shorter)
    return strokes(draws, distance, thinnest, thickest).expand(count, *shape)


def strokes(draws: Draws, distance: Tensor, thinnest: float, thickest: float) -> Tensor:
    """Draw what lies near to a line, bright on black, with a pen of random width and brightness for each example.

    Args:
        draws: draws.
        distance: (count, channels, *positions), to the line, in positions.
        thinnest: least half width of the pen, in positions.
        thickest: most.

    Returns:
        As the distance, in [0, 1].
    """
    drawn = torch.sigmoid(HARDNESS * (draws.log_uniform(thinnest, thickest) - distance))
    return draws.uniform(FAINTEST, 1) * drawn


def _figures(draws: Draws, positions: tuple[int, int]) -> Tensor:
    """Draw corners of polygons, (count, curves, SEGMENTS + 1, 2), in positions; curves that are left out are far."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(draws.count, *shape, generator=draws.random, device=draws.random.device, dtype=draws.dtype)

    starts, bends, ends = ((1 + 2 * BEYOND) * uniform(3, MOST, 2) - BEYOND).unbind(dim=1)
    chained = uniform(MOST - 1, 1) < CHAINED
    starts = torch.cat([starts[:, :1], torch.where(chained, ends[:, :-1], starts[:, 1:])], dim=1)
    along = torch.linspace(0, 1, SEGMENTS + 1, device=starts.device, dtype=draws.dtype)[:, None]
    starts, bends, ends = (point[:, :, None] for point in (starts, bends, ends))
    points = (1 - along) ** 2 * starts + 2 * along * (1 - along) * bends + along**2 * ends
    side = SMALLEST + (1 - SMALLEST) * uniform(1, 1, 1)
    points = side * points + (1 - side) * uniform(1, 1, 2)
    number = 1 + (MOST * uniform(1, 1, 1)).floor()
    there = torch.arange(MOST, device=starts.device)[:, None, None] < number
    down, right = points.unbind(dim=-1)
    return torch.where(there, torch.stack([positions[0] * down, positions[1] * right], dim=-1), FAR)


def _distances(corners: Tensor, positions: tuple[int, int]) -> Tensor:
    """Give the distance of each position to the nearest polygon, (count, 1, height, width).

    Args:
        corners: (count, polygons, corners, 2).
        positions: height and width.
    """
    rows, columns = (torch.arange(size, device=corners.device, dtype=corners.dtype) + 0.5 for size in positions)
    nearest = corners.new_full((len(corners), *positions), FAR**2)
    # A polygon at a time: all at once would take as many times the memory.
    for polygon in corners.unbind(dim=1):
        row, column = polygon[:, :-1, :, None].unbind(dim=2)
        down, right = polygon.diff(dim=1)[..., None].unbind(dim=2)
        length = (down.square() + right.square()).clamp_min(1e-6)
        # From the beginning of each segment, so that all but sums and products of rows and columns is small.
        from_row, from_column = rows - row, columns - column
        along = (from_row * down / length)[..., None] + (from_column * right / length)[:, :, None]
        there = along.clamp(0, 1)
        squares = from_row.square()[..., None] + from_column.square()[:, :, None]
        squares = squares - length[..., None] * there * (2 * along - there)
        nearest = torch.minimum(nearest, squares.amin(dim=1))
    return nearest.clamp_min(0).sqrt()[:, None]
