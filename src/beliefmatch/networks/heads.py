"""Logits in 32 bits, where everything before them is in 16."""

from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.functional.upcast import widened
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.logits import gives_log_odds
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.outputs import logits_of


def keep_logits_precise(network: nn.Module, spec: InputSpec) -> None:
    """Let the layer that gives the logits work in 32 bits under autocast, in place.

    A bfloat16 logit of 10 is known to a sixteenth, which is more than what teacher and student differ by after some
    rounds; the features before it are sums of many such errors, and hardly lose. Nothing changes outside autocast, or
    where the logits are no linear layer's own output. A network that ends in a sigmoid works in 32 bits as a whole: in
    16 it gives 1 for every logit above 6, and nothing can be worked out of that.

    Args:
        network: maps (batch, *spec.shape) to logits.
        spec: of its inputs.
    """
    head = network if gives_log_odds(network) else find_head(network, spec)
    if head is not None and "forward" not in vars(head):
        head.forward = partial(_forward_in_32_bits, head)


def find_head(network: nn.Module, spec: InputSpec) -> nn.Module | None:
    """Find the linear layer or convolution whose output, perhaps flattened, is what the network returns."""
    given: list[tuple[nn.Module, Tensor]] = []
    returned: list[Tensor] = []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]

    def keep(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        given.append((layer, output))

    def keep_own(_network: nn.Module, _inputs: Any, output: object) -> None:
        with suppress(NetworkError):
            returned.append(logits_of(output, network="", batch_size=1))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    # Before other hooks make two logits of one.
    handles.append(network.register_forward_hook(keep_own, prepend=True))
    first = next(iter(network.parameters()), torch.zeros(()))
    try:
        with evaluating(network), torch.no_grad():
            returned.append(network(torch.zeros((1, *spec.shape), dtype=first.dtype, device=first.device)))
    finally:
        for handle in handles:
            handle.remove()
    same = (layer for layer, output in reversed(given) if any(_is_same_memory(output, each) for each in returned))
    return next(same, None)


def _is_same_memory(first: Tensor, second: object) -> bool:
    return isinstance(second, Tensor) and first.data_ptr() == second.data_ptr() and first.numel() == second.numel()


def _forward_in_32_bits(layer: nn.Module, features: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return type(layer).forward(layer, widened(features))
