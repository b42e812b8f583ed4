"""CIFAR ResNet: He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2.

Two shortcuts are in use where a block changes shape: option A takes every second pixel and pads channels with zeros,
option B is a 1x1 convolution with batch-norm.
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad, relu

from beliefmatch.networks.architectures.initialisation import conv3x3, he_normal_fan_out

Shortcut = Literal["A", "B"]


class PadShortcut(nn.Module):
    """Option A: every second pixel, zero channels added on both sides in equal number. No parameters."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to (batch, channels + new, height / 2, width / 2)."""
        before = self.new_channels // 2
        return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.new_channels - before))


class Block(nn.Module):
    """Post-activation residual block with two 3x3 convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        if in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = PadShortcut(out_channels - in_channels)
        else:
            convolution = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in channels, height, width) to (batch, out channels, height / stride, width / stride)."""
        residual = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)), inplace=True)))
        return relu(self.shortcut(x) + residual, inplace=True)


class CifarResNet(nn.Module):
    """CIFAR ResNet of a depth 6n + 2: 20, 32, 44, 56, 110 in the literature."""

    attention_taps: ClassVar[tuple[str, ...]] = ("layer1", "layer2", "layer3")
    """The outputs of the three stages."""

    def __init__(self, depth: int, *, in_channels: int, num_classes: int, shortcut: Shortcut) -> None:
        super().__init__()
        assert (depth - 2) % 6 == 0, depth
        num_blocks = (depth - 2) // 6

        def layer(in_width: int, width: int) -> nn.Sequential:
            first = Block(in_width, width, stride=1 if in_width == width else 2, shortcut=shortcut)
            rest = (Block(width, width, stride=1, shortcut=shortcut) for _ in range(num_blocks - 1))
            return nn.Sequential(first, *rest)

        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = layer(16, 16)
        self.layer2 = layer(16, 32)
        self.layer3 = layer(32, 64)
        self.fc = nn.Linear(64, num_classes)
        he_normal_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in channels, height, width) to logits (batch, classes)."""
        x = relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(adaptive_avg_pool2d(x, 1).flatten(1))
