"""Images that nobody took: random textures with edges, areas and shades, made of nothing but noise.

Real images have spectra that fall with frequency, and areas with borders. Networks trained on pictures of such noise
learn useful features (Baradad et al. 2021, "Learning to See by Looking at Noise", whose statistical image models these
follow; the settings are ours).
"""

import math

import torch
from torch import Tensor

from beliefmatch.functional.curves import curves, strokes
from beliefmatch.functional.draws import Draws

FLATTEST, STEEPEST = 0.5, 3.0
"""Exponents of the frequency that amplitudes fall with."""
SOFTEST, HARDEST = 0.7, 20.0
"""Factors on noise of variance 1 before a sigmoid: from shades to areas with sharp borders."""
MASK_HARDNESS = 6.0
THINNEST, THICKEST = 0.6, 2.5
"""Half the width of a stroke, in positions."""
FLATTEST_SLOPE = 0.02
"""Where noise is flatter, a contour is as wide as if it were not."""


def spectral_noise(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw noise whose amplitude falls with a power of the frequency, another one for each example.

    Args:
        count: examples.
        shape: (channels, *positions); a vector of features has no positions, and its noise is white, as is that
            of a single position.
        random: draws, on the device.
        dtype: of what is drawn.

    Returns:
        (count, *shape), variance 1 and mean 0 in each example with positions. Channels are alike to a random degree.
    """
    channels, *positions = shape
    if math.prod(positions) == 1:
        return torch.randn((count, *shape), generator=random, device=random.device, dtype=dtype)
    draws = Draws(count, len(positions), random, dtype)
    alike = draws.uniform(0, 1)
    falling = _frequencies(positions, random.device, dtype) ** -draws.uniform(FLATTEST, STEEPEST)
    falling[(..., *(0,) * len(positions))] = 0
    axes = tuple(range(2, 2 + len(positions)))

    def draw(num_channels: int) -> Tensor:
        drawn = (2, count, num_channels, *falling.shape[2:])
        real, imaginary = torch.randn(drawn, generator=random, device=random.device, dtype=dtype)
        noise = torch.fft.irfftn(torch.complex(real, imaginary) * falling, s=positions, dim=axes)
        return noise / noise.std(dim=(1, *axes), keepdim=True).clamp_min(1e-6)

    return draw(1) if channels == 1 else alike.sqrt() * draw(1) + (1 - alike).sqrt() * draw(channels)


def textures(
    count: int,
    shape: tuple[int, ...],
    random: torch.Generator,
    dtype: torch.dtype,
    *,
    contour_share: float,
    curve_share: float,
) -> Tensor:
    """Draw textures: areas, contours and curves; inputs without positions are areas of one value each.

    Args:
        count: examples.
        shape: (channels, *positions), or (features,).
        random: draws, on the device.
        dtype: of what is drawn.
        contour_share: part that are contours, where there are positions.
        curve_share: part that are curves, where there are two axes of positions.

    Returns:
        (count, *shape), in [0, 1], in random order.
    """
    num_contours = int(contour_share * count) if len(shape) > 1 else 0
    num_curves = int(curve_share * count) if len(shape) == 3 else 0
    parts = [areas(count - num_contours - num_curves, shape, random, dtype)]
    if num_contours:
        parts.append(contours(num_contours, shape, random, dtype))
    if num_curves:
        parts.append(curves(num_curves, shape, random, dtype))
    return torch.cat(parts)[torch.rand(count, generator=random, device=random.device).argsort()]


def areas(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw areas: spectral noise bent by a sigmoid of random hardness, half of it cut out by a mask of its kind.

    Args:
        count: examples.
        shape: (channels, *positions), or (features,).
        random: draws, on the device.
        dtype: of what is drawn.

    Returns:
        (count, *shape), in [0, 1]. Contrast and brightness differ; one in seven is negative.
    """
    draws = Draws(count, len(shape) - 1, random, dtype)
    hardness = draws.log_uniform(SOFTEST, HARDEST)
    drawn = torch.sigmoid(hardness * (spectral_noise(count, shape, random, dtype) - 0.8 * draws.normal()))
    if len(shape) > 1:
        drawn = drawn * _masks(draws, shape, share=0.5)
    darkest = draws.happens(0.3) * draws.uniform(0, 0.3)
    brightest = 1 - draws.happens(0.5) * draws.uniform(0, 0.5)
    drawn = darkest + (brightest - darkest) * drawn
    negative = draws.happens(0.15)
    return negative * (1 - drawn) + (1 - negative) * drawn


def contours(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw contours: strokes of random width along a level of spectral noise, most of them cut out by a mask.

    Args:
        count: examples.
        shape: (channels, *positions).
        random: draws, on the device.
        dtype: of what is drawn.

    Returns:
        (count, *shape), in [0, 1], bright on black.
    """
    draws = Draws(count, len(shape) - 1, random, dtype)
    noise = spectral_noise(count, shape, random, dtype)
    slope = torch.stack([_differences(noise, axis).square() for axis in range(2, noise.dim())]).sum(dim=0).sqrt()
    distance = (noise - draws.uniform(-1, 1)).abs() / slope.clamp_min(FLATTEST_SLOPE)
    return strokes(draws, distance, THINNEST, THICKEST) * _masks(draws, shape, share=0.7)


def _masks(draws: Draws, shape: tuple[int, ...], *, share: float) -> Tensor:
    """Draw masks of one channel: 1 inside of an area and 0 outside for a share of the examples, else 1 throughout."""
    noise = spectral_noise(draws.count, (1, *shape[1:]), draws.random, draws.dtype) - 0.7 * draws.normal()
    masked = draws.happens(share)
    return 1 - masked + masked * torch.sigmoid(MASK_HARDNESS * noise)


def _differences(noise: Tensor, axis: int) -> Tensor:
    """Differences of neighbours along an axis; the last position has that of the one before it."""
    size = noise.shape[axis]
    if size == 1:
        return torch.zeros_like(noise)
    found = noise.diff(dim=axis)
    return torch.cat([found, found.narrow(axis, size - 2, 1)], dim=axis)


def _frequencies(positions: list[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Give the length of each frequency that a real transform keeps, in cycles a position; above 0 for the mean."""
    axes = [torch.fft.fftfreq(size, device=device, dtype=dtype) for size in positions[:-1]]
    axes.append(torch.fft.rfftfreq(positions[-1], device=device, dtype=dtype))
    grid = torch.meshgrid(*axes, indexing="ij")
    return torch.stack(grid).square().sum(dim=0).sqrt().clamp_min(1 / max(positions) / 2)
