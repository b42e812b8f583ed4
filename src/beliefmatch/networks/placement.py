"""Where tensors of networks and their inputs live."""

import torch
from torch import Tensor, nn


def move_to_device(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place; its convolutions keep channels last, which is faster on CPUs and GPUs alike."""
    network.to(device, dtype)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def to_channels_last(inputs: Tensor) -> Tensor:
    """Lay images out as a placed network reads them fastest; anything else stays as it is, (batch, *shape)."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
