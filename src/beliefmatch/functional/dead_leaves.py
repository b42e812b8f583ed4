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
_LAYERS = 1 + MOST
"""Objects on their ground."""
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
    layers = Draws(_LAYERS * count, len(positions), random, dtype)
    fills = _Fills(layers, draws, channels, grid, shorter)
    mirrored = draws.uniform(0, 1) < (MIRRORED if len(positions) > 1 else 0)
    shapes = _Shapes(layers, grid, shorter, mirrored)
    images = _ground(fills.draw(0, noise[0]), draws, fills.colours[0])
    number = 1 + (MOST * draws.uniform(0, 1)).floor()
    for layer in range(1, _LAYERS):
        cover = torch.where(number >= layer, shapes.draw(layer), 0)
        images = torch.lerp(images, fills.draw(layer, noise[layer % FIELDS]), cover)
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
    """Superellipses, one for each layer and example: |u|^p + |v|^p <= 1 along the two axes of the object.

    Its coordinates are sums of functions of one axis of the image each. Those are small, and computed for all layers at
    once: small kernels take as long as large ones on a GPU.
    """

    def __init__(self, layers: Draws, grid: list[Tensor], shorter: int, mirrored: Tensor) -> None:
        size = layers.log_uniform(SMALLEST, LARGEST)
        aspect = layers.log_uniform(1 / math.sqrt(ASPECT), math.sqrt(ASPECT))
        angle, power = layers.uniform(0, math.pi), layers.log_uniform(DIAMOND, BOX)
        centres = [layers.uniform(-SPREAD, SPREAD) * along.numel() / shorter for along in grid]
        # What lies on the right of a symmetric image is not seen.
        centres[-1] = torch.where(mirrored.repeat(_LAYERS, *(1,) * (1 + len(grid))), -centres[-1].abs(), centres[-1])
        offsets = [along - centre for along, centre in zip(grid, centres, strict=True)]
        if len(grid) == 1:
            self.coordinates = [[_split(offsets[0] / size)]]
        else:
            *others, down, right = offsets
            cosine, sine, length, breadth = angle.cos(), angle.sin(), size * aspect, size / aspect
            self.coordinates = [
                [_split(cosine / length * down), _split(sine / length * right)],
                [_split(-sine / breadth * down), _split(cosine / breadth * right)],
                *([_split(other / breadth)] for other in others),
            ]
        edge = layers.log_uniform(HARDEST, max(HARDEST, min(SOFTEST, shorter / 4)))
        # Where |u|^p is 1, it grows p times as fast as |u|.
        self.power, self.hardness = _split(power), _split(size * shorter / edge / power)

    def draw(self, layer: int) -> Tensor:
        """Draw how much the object of a layer covers, (count, 1, *positions), in [0, 1]."""
        inside: Tensor | float = 1.0
        for parts in self.coordinates:
            inside = inside - _sum(parts, layer).abs().clamp_max(FAR) ** self.power[layer]
        return (0.5 + self.hardness[layer] * inside).clamp(0, 1)


class _Fills:
    """A colour, its gradient, stripes and noise, one of each for each layer and example."""

    def __init__(self, layers: Draws, draws: Draws, channels: int, grid: list[Tensor], shorter: int) -> None:
        alike = draws.uniform(0, 1)
        shape = (_LAYERS, draws.count, 1 + channels, *(1,) * len(grid))

        def colour() -> Tensor:
            """Draw a linear map from one value to the channels, which are alike to a degree of the image."""
            drawn = torch.randn(shape, generator=draws.random, device=draws.random.device, dtype=draws.dtype)
            return alike.sqrt() * drawn[:, :, :1] + (1 - alike).sqrt() * drawn[:, :, 1:]

        def strength(fraction: float) -> Tensor:
            there = layers.uniform(0, 1) < fraction
            return _split(torch.where(there, layers.log_uniform(FAINT, STRONG), 0))

        self.colours, gradient = 0.5 + COLOUR * colour(), GRADIENT * colour()
        self.gradients = [gradient * _split(layers.normal()) * along for along in grid]
        self.gradients[0] = self.gradients[0] + self.colours
        self.stripes, self.noise = strength(STRIPED) * colour(), strength(NOISY) * colour()
        turns = 2 * math.pi * layers.log_uniform(SLOWEST, max(SLOWEST, FASTEST * shorter))
        direction = [layers.normal() for _ in grid]
        length = torch.stack(direction).norm(dim=0).clamp_min(1e-6)
        self.phases = [_split(turns / length * each * along) for each, along in zip(direction, grid, strict=True)]
        self.phases[0] = self.phases[0] + _split(layers.uniform(0, 2 * math.pi))

    def draw(self, layer: int, noise: Tensor) -> Tensor:
        """Draw the fill of a layer, (count, channels, *positions), in [0, 1]."""
        stripes = self.stripes[layer] * _sum(self.phases, layer).sin()
        return (_sum(self.gradients, layer) + stripes + self.noise[layer] * noise).clamp(0, 1)


def _split(drawn: Tensor) -> Tensor:
    """Return values (layers * count, ...) as (layers, count, ...)."""
    return drawn.unflatten(0, (_LAYERS, -1))


def _sum(parts: list[Tensor], layer: int) -> Tensor:
    """Compute the sum of the parts of a layer, which are functions of one axis each."""
    total = parts[0][layer]
    for part in parts[1:]:
        total = total + part[layer]
    return total
