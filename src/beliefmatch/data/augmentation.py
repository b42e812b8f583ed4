"""Small random rotations, zooms and shifts of images."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

MAX_ROTATION = 0.2
"""Radians."""
MAX_ZOOM = 0.1
MAX_SHIFT = 0.15
"""Fraction of half the image."""


def random_affine(inputs: Tensor, background: float) -> Tensor:
    """Rotate, zoom and shift each image by its own small amount, drawn from torch's random state.

    Args:
        inputs: (batch, channels, height, width).
        background: value of what moves in from outside.

    Returns:
        (batch, channels, height, width).
    """
    angle, zoom, *shift = (2 * torch.rand(4, len(inputs)) - 1) * torch.tensor(
        [[MAX_ROTATION], [MAX_ZOOM], [MAX_SHIFT], [MAX_SHIFT]]
    )
    scale = 1 + zoom
    rows = (scale * angle.cos(), -angle.sin(), shift[0], angle.sin(), scale * angle.cos(), shift[1])
    theta = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = affine_grid(theta, list(inputs.shape), align_corners=False)
    return grid_sample(inputs - background, grid, align_corners=False) + background
