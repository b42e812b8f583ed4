"""Attention transfer: Zagoruyko & Komodakis 2017, as used by Micaelli & Storkey 2019."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from beliefmatch.functional.upcast import upcast


def attention_map(activation: Tensor) -> Tensor:
    """Compute the attention map: the mean over channels of the squared activation, flattened, with L2 norm 1.

    Args:
        activation: (batch, channels, *positions), any number of position axes.

    Returns:
        (batch, positions).
    """
    # A compiler finds the short way by itself.
    square_sum = _sum_of_squares if torch.compiler.is_compiling() else _SumOfSquares.apply
    squares = square_sum(activation) / activation.shape[1]
    return normalize(squares.flatten(start_dim=1), dim=1)


def _sum_of_squares(activation: Tensor) -> Tensor:
    return upcast(activation).square().sum(dim=1)


class _SumOfSquares(torch.autograd.Function):
    """The sum over channels of the squared activation. Its gradient is one product, in the layout and type of the
    activation; the one that torch composes spreads over channels first, in float32, and that outweighs all else here.
    """

    @staticmethod
    def forward(ctx: Any, activation: Tensor) -> Tensor:
        ctx.save_for_backward(activation)
        return _sum_of_squares(activation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (activation,) = ctx.saved_tensors
        return activation * (2 * gradients[0]).to(activation.dtype).unsqueeze(1)


def attention_distance(teacher_map: Tensor, student_map: Tensor) -> Tensor:
    """Compute the mean squared difference of two attention maps (batch, positions), (batch,), in [0, 2 / positions]."""
    return (student_map - teacher_map).square().mean(dim=1)
