"""Rounding to few levels while numbers stay in floating point, with gradients that learn the distance of the levels.

Esser et al. 2020, "Learned Step Size Quantization" (ICLR). Here the logarithm of the step is learnt, so that an
optimiser moves it by a part of itself.
"""

from typing import Any

import torch
from torch import Tensor


def fake_quantize(values: Tensor, log_step: Tensor, lowest: int, highest: int) -> Tensor:
    """Return the nearest of the levels step * lowest, ..., 0, ..., step * highest for each value.

    The gradient passes straight through to values within the levels; to others it is 0. The step gets the gradient of
    Esser et al. 2020, divided by the square root of values[0].numel() times the levels on one side of 0, as there.

    Args:
        values: (batch or channels, ...).
        log_step: natural logarithm of the distance of two levels, of a shape that is broadcast to that of the values.
        lowest: number of levels below 0, at most 0: as a negative number.
        highest: number of levels above 0.

    Returns:
        Of the shape of the values, in the type of the step.
    """
    values = values.to(log_step.dtype)
    if not torch.jit.is_scripting() and torch.is_grad_enabled():  # pyright: ignore[reportPrivateImportUsage]
        quantized = _FakeQuantize.apply(values, log_step, lowest, highest)
        assert isinstance(quantized, Tensor)
        return quantized
    return round_to_levels(values, log_step.exp(), lowest, highest)


def round_to_levels(values: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
    """Return the nearest level for each value, of the shape of the values; see `fake_quantize`.

    torch.fake_quantize_per_tensor_affine computes the same; on a CPU it takes several times as long.
    """
    return values.div(step).round_().clamp_(lowest, highest).mul_(step)


class _FakeQuantize(torch.autograd.Function):
    """Two tensors are kept for the backward pass, the values and what they became; elementary operations keep more."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, log_step: Tensor, lowest: int, highest: int) -> Tensor:
        step = log_step.exp()
        quantized = round_to_levels(values, step, lowest, highest)
        ctx.save_for_backward(values, quantized, step)
        ctx.levels = lowest, highest
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        (gradient,) = gradients
        values, quantized, step = ctx.saved_tensors
        lowest, highest = ctx.levels
        within = gradient * ((values >= lowest * step) & (values <= highest * step))
        if not ctx.needs_input_grad[1]:
            return within, None, None, None
        # d quantized / d log step is round(v / s) s - v within the levels, and the outermost level beyond them.
        to_step = (gradient * quantized).sub_(within * values).sum_to_size(step.shape)
        scale = (values.shape[1:].numel() * max(highest, -lowest)) ** -0.5
        return within, to_step.mul(scale), None, None
