"""Random images of layered objects, computed from noise alone.

Objects that hide one another give images the statistics of real ones: edges, areas of all sizes, heavy-tailed
differences (the dead leaves of Matheron 1968; Lee, Mumford & Huang 2001, "Occlusion Models for Natural Images").
Networks trained on pictures of such leaves learn useful features (Baradad et al. 2021, "Learning to See by Looking at
Noise"). The shapes, fills and settings are ours.
"""

import math

import torch
from torch import Tensor

from beliefmatch.functional.draws import Draws
from beliefmatch.functional.textures import areas, spectral_noise

MOST = 6
"""Objects in an image; at least one."""
SMALLEST, LARGEST = 0.08, 0.55
"""Half the width of an object, as part of the shorter side of the image."""
ASPECT = 2.5
"""Largest factor by which an object is longer than its mean width, and thinner across."""
SPREAD = 0.5
"""How far an object's centre lies from the middle of the image at most, as part of each side."""
DIAMOND, BOX = 1.0, 8.0
"""Exponents of superellipses; 2 is an ellipse."""
HARDEST, SOFTEST = 1.0, 8.0
"""Width of an object's edge, in positions."""
FAR = 8.0
"""Distance from an object's centre, in half widths, that stands for all larger ones."""
COLOUR = 0.35
"""Deviation of an object's colour around grey, in each channel."""
GRADIENT = 0.5
"""Deviation of the change of colour along the shorter side of the image."""
FAINT, STRONG = 0.02, 0.5
"""Deviations of the colours of stripes and of noise, log-uniform."""
SLOWEST, FASTEST = 1.0, 0.35
"""Frequencies of stripes: cycles along the shorter side, and cycles a position."""
STRIPED, NOISY = 0.3, 0.6
"""Parts of the objects and grounds with stripes, and with noise."""
FIELDS = 2
"""Fields of noise that the objects of an image share, since Fourier transforms take time."""
DARK, BRIGHT, PLAIN = 0.15, 0.1, 0.25
"""Parts of the images whose ground is 0, is 1, and is one colour."""
MIRRORED = 0.5
"""Part of the images that are symmetric."""


def dead_leaves(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw images of one to six soft superellipses that hide one another; of intervals, where inputs are signals.

    Each object and most grounds have a colour, a gradient of it, and some have stripes and spectral noise. Half of the
    images are symmetric, as real objects mostly are; signals are not. Inputs without positions, or with a single one,
    are `textures.areas`: independent values.

    Args:
        count: examples.
        shape: (channels, *positions), or (features,).
        random: draws, on the device; nothing else does, and nothing waits for the device.
        dtype: of what is drawn.

    Returns:
        (count, *shape), in [0, 1].
    """
    channels, *positions = shape
    if math.prod(positions) == 1:
        return areas(count, shape, random, dtype)
    draws = Draws(count, len(positions), random, dtype)
    noise = spectral_noise(count, (FIELDS, *positions), random, dtype).split(1, dim=1)
    shorter = min(size for size in positions if size > 1)
    grid = _grid(positions, shorter, random.device, dtype)
    # The ground is the first fill, and objects the others.
    layers = Draws((1 + MOST) * count, len(positions), random, dtype)
    fills = _Fills(layers, draws, channels, shorter)
    mirrored = draws.uniform(0, 1) < (MIRRORED if len(positions) > 1 else 0)
    shapes = _Shapes(layers, positions, shorter, mirrored)
    images = _ground(fills.draw(0, grid, noise[0]), draws, fills.colours[0])
    number = 1 + (MOST * draws.uniform(0, 1)).floor()
    for layer in range(1, 1 + MOST):
        cover = torch.where(number >= layer, shapes.draw(layer, grid), 0)
        images = torch.lerp(images, fills.draw(layer, grid, noise[layer % FIELDS]), cover)
    # Written for every image, since to choose images waits for the device.
    right = torch.arange(positions[-1], device=random.device) >= positions[-1] / 2
    return torch.where(mirrored & right, images.flip(-1), images)


def _grid(positions: list[int], shorter: int, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Return the coordinates along each axis, 0 in the middle, in shorter sides, to broadcast with positions."""
    grid = []
    for axis, size in enumerate(positions):
        coordinates = (torch.arange(size, device=device, dtype=dtype) - (size - 1) / 2) / shorter
        grid.append(coordinates.view(-1, *(1,) * (len(positions) - 1 - axis)))
    return grid


def _ground(textured: Tensor, draws: Draws, colours: Tensor) -> Tensor:
    """Return grounds: some dark, some bright, some of one colour, the others as they are."""
    kind = draws.uniform(0, 1)
    plain = torch.where(kind < DARK, 0, torch.where(kind < DARK + BRIGHT, 1, colours.clamp(0, 1)))
    return torch.where(kind < DARK + BRIGHT + PLAIN, plain, textured)


class _Shapes:
    """Superellipses, one for each layer and example: |u|^p + |v|^p <= 1 along the two axes of the object."""

    def __init__(self, layers: Draws, positions: list[int], shorter: int, mirrored: Tensor) -> None:
        count, num_axes = layers.count // (1 + MOST), len(positions)

        def split(drawn: Tensor) -> Tensor:
            return drawn.unflatten(0, (1 + MOST, count))

        size = layers.log_uniform(SMALLEST, LARGEST)
        aspect = layers.log_uniform(1 / math.sqrt(ASPECT), math.sqrt(ASPECT))
        self.angle = split(layers.uniform(0, math.pi))
        self.power = split(layers.log_uniform(DIAMOND, BOX))
        self.centres = [split(layers.uniform(-SPREAD, SPREAD) * side / shorter) for side in positions]
        # What lies on the right of a symmetric image is not seen.
        self.centres[-1] = torch.where(mirrored, -self.centres[-1].abs(), self.centres[-1])
        self.widths = [split(size), split(size)] if num_axes == 1 else [split(size * aspect), split(size / aspect)]
        edge = layers.log_uniform(HARDEST, max(HARDEST, min(SOFTEST, shorter / 4)))
        # Where |u|^p is 1, it grows p times as fast as |u|.
        self.hardness = split(size * shorter / edge) / self.power

    def draw(self, layer: int, grid: list[Tensor]) -> Tensor:
        """Draw how much the object of a layer covers, (count, 1, *positions), in [0, 1]."""
        offsets = [along - centre[layer] for along, centre in zip(grid, self.centres, strict=True)]
        if len(offsets) > 1:
            *others, down, right = offsets
            cosine, sine = self.angle[layer].cos(), self.angle[layer].sin()
            offsets = [*others, cosine * down + sine * right, cosine * right - sine * down]
        distance: Tensor | float = 0.0
        for axis, offset in enumerate(offsets):
            width = self.widths[min(axis, 1)][layer]
            distance = distance + (offset / width).abs().clamp_max(FAR) ** self.power[layer]
        return (0.5 + self.hardness[layer] * (1 - distance)).clamp(0, 1)


class _Fills:
    """A colour, its gradient, stripes and noise, one of each for each layer and example."""

    def __init__(self, layers: Draws, draws: Draws, channels: int, shorter: int) -> None:
        count, self.axes = draws.count, draws.num_axes
        alike = draws.uniform(0, 1)

        def split(drawn: Tensor) -> Tensor:
            return drawn.unflatten(0, (1 + MOST, count))

        def colour() -> Tensor:
            """Draw a linear map from one value to the channels, which are alike to a degree of the image."""
            drawn = torch.randn(
                (1 + MOST, count, 1 + channels, *(1,) * draws.num_axes),
                generator=draws.random,
                device=draws.random.device,
                dtype=draws.dtype,
            )
            return alike.sqrt() * drawn[:, :, :1] + (1 - alike).sqrt() * drawn[:, :, 1:]

        def strength(fraction: float) -> Tensor:
            there = layers.uniform(0, 1) < fraction
            return split(torch.where(there, layers.log_uniform(FAINT, STRONG), 0))

        self.colours = 0.5 + COLOUR * colour()
        gradient = GRADIENT * colour()
        self.gradients = [gradient * split(layers.normal()) for _ in range(draws.num_axes)]
        self.stripes = strength(STRIPED) * colour()
        self.noise = strength(NOISY) * colour()
        turns = 2 * math.pi * layers.log_uniform(SLOWEST, max(SLOWEST, FASTEST * shorter))
        direction = [layers.normal() for _ in range(draws.num_axes)]
        length = sum((each.square() for each in direction), start=torch.zeros_like(turns)).sqrt().clamp_min(1e-6)
        self.waves = [split(turns * each / length) for each in direction]
        self.phases = split(layers.uniform(0, 2 * math.pi))

    def draw(self, layer: int, grid: list[Tensor], noise: Tensor) -> Tensor:
        """Draw the fill of a layer, (count, channels, *positions), in [0, 1]."""
        colour, phase = self.colours[layer], self.phases[layer]
        for along, gradient, wave in zip(grid, self.gradients, self.waves, strict=True):
            colour, phase = colour + gradient[layer] * along, phase + wave[layer] * along
        return (colour + self.stripes[layer] * phase.sin() + self.noise[layer] * noise).clamp(0, 1)
