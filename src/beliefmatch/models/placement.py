"""Where the tensors of a network live."""

import torch
from torch import nn


def place(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place; its convolutions keep channels last, which is faster on CPUs and GPUs alike."""
    network.to(device, dtype)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
