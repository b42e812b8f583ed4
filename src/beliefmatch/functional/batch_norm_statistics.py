"""The batch-norm statistics loss: the gap between a batch's statistics and the running ones of batch-norm layers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from beliefmatch.functional.upcast import upcast


def statistics_gap(
    activations: Sequence[Tensor], running_means: Sequence[Tensor], running_vars: Sequence[Tensor]
) -> Tensor:
    """Compute the sum over layers of the L2 norms of the gaps in means and in variances, both over channels.

    Yin et al. 2020 (DeepInversion), equation 4. A batch has statistics and an example has none, so this is a scalar.
    Its gradient flows to the activations alone, and has none of its own.

    Args:
        activations: (batch, channels, *positions), the input of each layer; at least one.
        running_means: (channels,) of each layer.
        running_vars: (channels,), likewise.

    Returns:
        (), at least 0, float32 or wider.
    """
    remembered = torch.cat([*running_means, *running_vars])
    gap = _StatisticsGap.apply(remembered, *activations)
    assert isinstance(gap, Tensor)
    return gap


class _StatisticsGap(torch.autograd.Function):
    """The gradient takes one pass over each activation, in its own layout and type; what torch composes takes six, in
    float32. What has one value a channel is computed for all layers at once: small kernels take as long as large ones
    on a GPU.
    """

    @staticmethod
    def forward(ctx: Any, remembered: Tensor, *activations: Tensor) -> Tensor:
        means, variances = zip(*map(_moments, activations), strict=True)
        found = torch.cat([*means, *variances])
        sizes = 2 * [len(mean) for mean in means]
        gaps = found - remembered
        norms = torch.stack(torch._foreach_norm(gaps.split(sizes)))  # pyright: ignore[reportPrivateImportUsage]
        # Where a gap is 0, so is its gradient.
        each = torch.cat([norm.expand(size) for norm, size in zip(norms, sizes, strict=True)])
        unit = gaps / each.clamp_min(torch.finfo(each.dtype).tiny)
        ctx.save_for_backward(found, unit, *activations)
        ctx.sizes = sizes
        return norms.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found, unit, *activations = ctx.saved_tensors
        mean, _ = found.chunk(2)
        to_mean, to_var = (gradients[0] * unit).chunk(2)
        scales, shifts = (
            each.split(ctx.sizes[: len(activations)]) for each in (2 * to_var, to_mean - 2 * to_var * mean)
        )
        return None, *(_spread(*part) for part in zip(activations, scales, shifts, strict=True))


def _moments(activation: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and variance of each channel, (channels,) each, float32 or wider."""
    # Batch-norm's own kernels: torch's var takes several times as long on a CPU, and casts a whole activation first.
    if activation.device.type == "cuda":
        return torch.batch_norm_update_stats(activation, None, None, 0.0)
    if activation.device.type == "cpu":
        return torch.batch_norm_update_stats(upcast(activation), None, None, 0.0)
    axes = [axis for axis in range(activation.dim()) if axis != 1]
    variance, mean = torch.var_mean(upcast(activation), dim=axes, correction=0)
    return mean, variance


def _spread(activation: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Compute the gradient of each value, which is linear in it: (scale * value + shift) / values a channel."""
    count = activation.numel() // len(scale)
    shape = (1, -1, *(1,) * (activation.dim() - 2))
    gradient = torch.empty_like(activation)
    return torch.addcmul((shift / count).view(shape), activation, (scale / count).view(shape), out=gradient)
