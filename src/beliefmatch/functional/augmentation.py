"""Random changes of images that leave their class alone, on the device of the images."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

Augmentation = Literal["none", "crop", "crop_flip"]

MAX_ROTATION = 0.2
"""Radians."""
MAX_ZOOM = 0.1
MAX_SHIFT = 0.15
"""Fraction of half the image."""


class Shard(NamedTuple):
    """The position of one rank's images among those of all ranks, for which random numbers are drawn together."""

    first: int
    total: int


def augment(
    images: Tensor, augmentation: Augmentation, padding: int, random: torch.Generator, shard: Shard | None = None
) -> Tensor:
    """Return images cropped after padding, and half of them mirrored, as the augmentation says.

    Args:
        images: (batch, channels, height, width), any type.
        augmentation: none, or random crops, or random crops and flips.
        padding: pixels on each side before a crop.
        random: draws, on the images' device.
        shard: of these images among all that are drawn for. None: they are all.

    Returns:
        (batch, channels, height, width).
    """
    if augmentation == "none":
        return images
    cropped = random_crop(images, padding, random, shard)
    return random_flip(cropped, random, shard) if augmentation == "crop_flip" else cropped


def random_crop(images: Tensor, padding: int, random: torch.Generator, shard: Shard | None = None) -> Tensor:
    """Return images padded with zeros and cut to the old size, each at its own random offset; see `augment`."""
    batch, channels, height, width = images.shape
    padded = pad(images, (padding,) * 4)
    first, total = shard or Shard(0, batch)
    drawn = torch.randint(2 * padding + 1, (2, total, 1), generator=random, device=images.device)
    offsets = drawn.narrow(1, first, batch)
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    # One position a pixel serves all channels: an index of four tensors takes four times as long on a CPU.
    places = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).view(batch, 1, height * width)
    return padded.flatten(2).gather(2, places.expand(-1, channels, -1)).view(images.shape)


def random_flip(images: Tensor, random: torch.Generator, shard: Shard | None = None) -> Tensor:
    """Return images of which a random half is mirrored left to right; see `augment`."""
    first, total = shard or Shard(0, len(images))
    drawn = torch.rand(total, 1, 1, 1, generator=random, device=images.device)
    chosen = drawn.narrow(0, first, len(images)) < 0.5
    return torch.where(chosen, images.flip(3), images)


def random_affine(inputs: Tensor, background: float) -> Tensor:
    """Return images rotated, zoomed and shifted, each by a small amount drawn from torch's random state.

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
