"""What a network costs: parameters, multiply-accumulates, bytes."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from beliefmatch.models.inputs import InputSpec


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Size of a network and work for one example."""

    parameters: int
    macs: int
    """Multiply-accumulates of convolutions and matrix products for one example."""
    bytes: int
    """Bytes of parameters and buffers."""


def measure_cost(network: nn.Module, spec: InputSpec) -> Cost:
    """Count parameters, multiply-accumulates for one example, and bytes of parameters and buffers."""
    first = next(iter(network.parameters()), torch.zeros(()))
    was_training = network.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros((1, *spec.shape), dtype=first.dtype, device=first.device))
    network.train(was_training)
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=counter.get_total_flops() // 2,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values()),
    )
