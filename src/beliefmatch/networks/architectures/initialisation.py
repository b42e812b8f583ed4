"""The 3x3 convolution and initial weights of residual networks, and redrawing the weights of any network."""

import torch
from torch import nn


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size (divided by the stride) and has no bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def he_normal_fan_out(network: nn.Module) -> None:
    """Draw every convolution from N(0, sqrt(2 / (k * k * out channels))) and zero the biases of linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def redraw(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights of every module anew in place, as `reset_parameters` does; torch's random state stays.

    Modules without that method, such as the owner of a bare parameter, keep their weights.

    Args:
        network: on any device.
        random: gives the seed of the weights, so that all processes draw the same.
    """
    seed = int(torch.randint(2**62, (), generator=random, device=random.device))
    devices = {parameter.device for parameter in network.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        for module in network.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
