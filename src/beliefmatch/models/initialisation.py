"""What the residual networks of the literature share: their 3x3 convolution and their initial weights."""

from torch import nn


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (divided by the stride) and has no bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def he_normal_fan_out(network: nn.Module) -> None:
    """Draw every convolution from N(0, sqrt(2 / (k * k * out channels))) and zero the biases of linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
