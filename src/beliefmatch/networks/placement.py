"""Device, type and memory format of networks and their inputs."""

from typing import Any

import torch
from torch import Tensor, nn


def move_to_device(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place, in channels-last memory format, which is faster on CPUs and GPUs alike.

    One that `keep_contiguous` has seen stays in contiguous format.
    """
    network.to(device, dtype)
    if not keeps_contiguous(network):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def keep_contiguous(network: nn.Module) -> None:
    """Let a network, in place, compute in contiguous memory format whatever its inputs are in.

    Code such as `x.view(len(x), -1)` fails on feature maps whose channels lie last.
    """
    if not keeps_contiguous(network):
        for parameter in network.parameters():
            # Of a single channel, contiguous() keeps strides that make what follows channels-last.
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        network.register_forward_pre_hook(_make_contiguous)


def keeps_contiguous(network: nn.Module) -> bool:
    """Whether `keep_contiguous` has seen a network, or one that it is a copy of."""
    return _make_contiguous in network._forward_pre_hooks.values()


def is_of_memory_format(error: Exception) -> bool:
    """Whether a network failed because of the memory format of a tensor."""
    return isinstance(error, RuntimeError) and "view size is not compatible" in str(error)


def _make_contiguous(_network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.clone(memory_format=torch.contiguous_format) if isinstance(each, Tensor) else each for each in inputs
    )


def to_channels_last(inputs: Tensor) -> Tensor:
    """Return images in channels-last memory format, and any other batch (batch, *shape) as it is."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
