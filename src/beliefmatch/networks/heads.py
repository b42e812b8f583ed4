"""The layer that computes the logits, and its precision: 32 bits, where all layers before it have 16."""

from contextlib import suppress
from functools import partial

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.functional.upcast import upcast
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.recording import Recording

HEADS = (nn.Linear, nn.Conv2d)


def find_head(recording: Recording) -> str | None:
    """Return the linear layer or convolution whose output, perhaps flattened, is what the network returns.

    Returns:
        The layer's name; empty for a network that is nothing else; None where there is no such layer.
    """
    if isinstance(recording.network, HEADS):
        return ""
    returned = [recording.output, recording.forward_output]
    with suppress(NetworkError):
        returned.append(logits_of(recording.forward_output, network="", batch_size=len(recording.inputs)))
    layers = (each for each in reversed(recording.modules) if isinstance(each.module, HEADS))
    same = (each.name for each in layers if any(_is_same_memory(each.output, value) for value in returned))
    return next(same, None)


def compute_in_32_bits(network: nn.Module, layer: str | None) -> None:
    """Replace the forward pass of a layer by one in 32 bits under autocast, until `undo_32_bits`.

    A bfloat16 logit of 10 has a resolution of a sixteenth, which is more than the difference of teacher and student
    after some rounds; the rounding errors of its features mostly average out. Nothing changes outside autocast.

    Args:
        network: changed in place; copies of it do the same.
        layer: its name, empty for the network as a whole; None for none.
    """
    if layer is None:
        return
    module = network.get_submodule(layer)
    if "forward" not in vars(module):
        module.forward = partial(_forward_in_32_bits, module)


def undo_32_bits(network: nn.Module) -> None:
    """Restore the forward passes that `compute_in_32_bits` replaced."""
    for module in network.modules():
        forward = vars(module).get("forward")
        if isinstance(forward, partial) and forward.func is _forward_in_32_bits:
            del module.forward


def _is_same_memory(first: Tensor, second: object) -> bool:
    return isinstance(second, Tensor) and first.data_ptr() == second.data_ptr() and first.numel() == second.numel()


def _forward_in_32_bits(layer: nn.Module, features: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return type(layer).forward(layer, upcast(features))
