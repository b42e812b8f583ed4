"""Random textures with edges, areas, shades and strokes, computed from noise alone.

Real images have spectra that fall with frequency, and areas with borders. Networks trained on pictures of such noise
learn useful features (Baradad et al. 2021, "Learning to See by Looking at Noise", whose statistical image models these
follow; the settings are ours).
"""

import math

import torch
from torch import Tensor

from beliefmatch.functional.draws import Draws
from beliefmatch.functional.strokes import curves

FLATTEST, STEEPEST = 0.5, 3.5
"""Exponents of the frequency that amplitudes fall with; those of Baradad et al."""
SOFTEST, HARDEST = 0.7, 20.0
"""Factors on noise of variance 1 before a sigmoid: from shades to areas with sharp borders."""
LEVEL_DEVIATION = 0.8
"""Of the level of that noise where dark meets bright."""


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
    count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype, *, curve_fraction: float
) -> Tensor:
    """Draw textures: areas and, where inputs are images, curves; inputs without positions are areas of one value each.

    Args:
        count: examples.
        shape: (channels, *positions), or (features,).
        random: draws, on the device.
        dtype: of what is drawn.
        curve_fraction: part that are curves, where there are two axes of positions.

    Returns:
        (count, *shape), in [0, 1], in random order.
    """
    num_curves = int(curve_fraction * count) if len(shape) == 3 else 0
    # Some Fourier transforms cannot be of no examples.
    parts = [areas(count - num_curves, shape, random, dtype)] if count > num_curves else []
    if num_curves:
        parts.append(curves(num_curves, shape, random, dtype))
    return torch.cat(parts)[torch.rand(count, generator=random, device=random.device).argsort()]


def areas(count: int, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw areas (count, *shape), in [0, 1]: spectral noise through a sigmoid of random level and hardness.

    The result ranges from shades to black and white. For the arguments see `textures`.
    """
    draws = Draws(count, len(shape) - 1, random, dtype)
    hardness, level = draws.log_uniform(SOFTEST, HARDEST), LEVEL_DEVIATION * draws.normal()
    return torch.sigmoid(hardness * (spectral_noise(count, shape, random, dtype) - level))


def _frequencies(positions: list[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Compute the length of each frequency of a real transform, in cycles a position; above 0 for the mean."""
    axes = [torch.fft.fftfreq(size, device=device, dtype=dtype) for size in positions[:-1]]
    axes.append(torch.fft.rfftfreq(positions[-1], device=device, dtype=dtype))
    grid = torch.meshgrid(*axes, indexing="ij")
    return torch.stack(grid).square().sum(dim=0).sqrt().clamp_min(1 / max(positions) / 2)
