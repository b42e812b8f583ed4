"""The floating type that a network computes in, and casts that leave complex numbers and integers as they are."""

import torch
from torch import Tensor, nn


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the floating type of the parameters of a network, and so of its inputs; float32 if it has none."""
    return next((each.dtype for each in network.parameters() if each.is_floating_point()), torch.float32)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the parameters of a network; the CPU if it has none."""
    return next((each.device for each in network.parameters()), torch.device("cpu"))


def to_inputs_of(network: nn.Module, batch: Tensor) -> Tensor:
    """Return a batch where the parameters of a network are and of their floating type."""
    return batch.to(device_of(network), dtype_of(network))


def cast(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place, and give its numbers of floating types another.

    `nn.Module.to` would cast complex parameters too, which drops their imaginary part.
    """
    network.to(device)
    network._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
