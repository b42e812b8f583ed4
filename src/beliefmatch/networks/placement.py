"""Device, type and memory format of networks and their inputs."""

import torch
from torch import Tensor, nn


def move_to_device(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place, in channels-last memory format, which is faster on CPUs and GPUs alike."""
    network.to(device, dtype)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def to_channels_last(inputs: Tensor) -> Tensor:
    """Return images in channels-last memory format, and any other batch (batch, *shape) as it is."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
