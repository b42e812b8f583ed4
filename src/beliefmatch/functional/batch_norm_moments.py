"""How far each example is from the statistics that batch-norm layers remember of the training data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from beliefmatch.functional.upcast import upcast


def batch_norm_moments(
    activations: Sequence[Tensor],
    running_means: Sequence[Tensor],
    running_vars: Sequence[Tensor],
    *,
    epsilon: float = 1e-5,
) -> Tensor:
    """Compute moments of each example whose means over the training data are 0.

    For each channel: the mean over positions of (a - mean) / deviation, and that of (a - mean)^2 / variance - 1, with
    mean and variance as they are remembered. The first kind comes first, for the channels of all layers. Where a batch
    has the remembered statistics, its mean of each is 0 (the batch-norm statistics of Yin et al. 2020, DeepInversion,
    example by example).

    Args:
        activations: (batch, channels, *positions), the input of each batch-norm layer; at least one.
        running_means: (channels,) of each layer.
        running_vars: (channels,), likewise.
        epsilon: added to the variance that is divided by, as batch-norm does: some channels are always the same.

    Returns:
        (batch, 2 * channels of all layers), float32.
    """
    layers = [_sums(*layer) for layer in zip(activations, running_means, strict=True)]
    gaps, squares = (torch.cat(each, dim=1) for each in zip(*layers, strict=True))
    variance = torch.cat([*running_vars]).to(gaps)
    scale = variance + epsilon
    return torch.cat([gaps / scale.sqrt(), (squares - variance) / scale], dim=1)


def _sums(activation: Tensor, running_mean: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the means over positions of a - mean and of its square, (batch, channels) each, float32."""
    values = upcast(activation).flatten(2) if activation.dim() > 2 else upcast(activation).unsqueeze(2)
    centred = values - running_mean.to(values)[:, None]
    # A norm is faster than a mean of squares, which writes the squares.
    squares = torch.linalg.vector_norm(centred, dim=2).square() / centred.shape[2]
    return centred.mean(dim=2).float(), squares.float()
