"""The floating type that a network computes in, and casts that leave complex numbers and integers as they are."""

import logging

import torch
from torch import Tensor, nn

from beliefmatch.log_once import log_once

logger = logging.getLogger(__name__)


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the floating type of the parameters of a network, and so of its inputs; float32 if it has none."""
    return next((each.dtype for each in network.parameters() if each.is_floating_point()), torch.float32)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the parameters of a network; the CPU if it has none."""
    return next((each.device for each in network.parameters()), torch.device("cpu"))


def to_inputs_of(network: nn.Module, batch: Tensor) -> Tensor:
    """Return a batch where the parameters of a network are and of their floating type."""
    return batch.to(device_of(network), dtype_of(network))


def to_32_bits(network: nn.Module, *, name: str) -> nn.Module:
    """Give the numbers of a network, in place, 32 bits each, and say so in the log where they had others.

    Args:
        network: just made or loaded.
        name: what to call it in the log.
    """
    found = {str(each.dtype).removeprefix("torch.") for each in network.state_dict().values() if _is_other(each)}
    if found:
        log_once(
            logger,
            logging.INFO,
            "%s holds %s: it computes in float32 here, and its bytes are counted so",
            name,
            " and ".join(sorted(found)),
        )
    return network.float()


def _is_other(value: object) -> bool:
    """Whether an entry of a state dict is a tensor of floats of another type than float32."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float32


def cast(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place, and give its numbers of floating types another.

    `nn.Module.to` would cast complex parameters too, which drops their imaginary part.
    """
    network.to(device)
    network._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def dtype_name(tensor: Tensor) -> str:
    """Return the type of a tensor's numbers as messages write it, such as float32."""
    return str(tensor.dtype).removeprefix("torch.")
