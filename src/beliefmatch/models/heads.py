"""Logits in 32 bits, where everything before them is in 16."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.functional.precision import widened
from beliefmatch.models.inputs import InputSpec
from beliefmatch.models.modes import evaluating


def keep_logits_precise(network: nn.Module, spec: InputSpec) -> None:
    """Let the layer that gives the logits work in 32 bits under autocast, in place.

    A bfloat16 logit of 10 is known to a sixteenth, which is more than what teacher and student differ by after some
    rounds; the features before it are sums of many such errors, and hardly lose. Nothing changes outside autocast, or
    where the logits are no linear layer's own output.

    Args:
        network: maps (batch, *spec.shape) to logits.
        spec: of its inputs.
    """
    head = find_head(network, spec)
    if head is not None and "forward" not in vars(head):
        head.forward = partial(_forward_in_32_bits, head)


def find_head(network: nn.Module, spec: InputSpec) -> nn.Module | None:
    """Find the linear layer or convolution whose output, perhaps flattened, is what the network returns."""
    given: list[tuple[nn.Module, Tensor]] = []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]

    def keep(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        given.append((layer, output))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    first = next(iter(network.parameters()), torch.zeros(()))
    try:
        with evaluating(network), torch.no_grad():
            logits = network(torch.zeros((1, *spec.shape), dtype=first.dtype, device=first.device))
    finally:
        for handle in handles:
            handle.remove()
    same = (layer for layer, output in reversed(given) if _is_same_memory(output, logits))
    return next(same, None)


def _is_same_memory(first: Tensor, second: object) -> bool:
    return isinstance(second, Tensor) and first.data_ptr() == second.data_ptr() and first.numel() == second.numel()


def _forward_in_32_bits(layer: nn.Module, features: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return type(layer).forward(layer, widened(features))
