"""Wide ResNet: Zagoruyko & Komodakis 2016, "Wide Residual Networks", for images of 32x32 and their like.

Two definitions are in use. They differ in what feeds the 1x1 shortcut of a block whose shape changes: the activated
input relu(bn(x)), as Micaelli & Storkey 2019 have it, or the raw input x.
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu

from beliefmatch.networks.architectures.initialisation import conv3x3, he_normal_fan_out

ShortcutInput = Literal["activated", "raw"]


class Block(nn.Module):
    """Pre-activation residual block with two 3x3 convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, shortcut_input: ShortcutInput) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride=stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        changes_shape = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False) if changes_shape else None
        self.shortcut_input = shortcut_input

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in channels, height, width) to (batch, out channels, height / stride, width / stride)."""
        activated = relu(self.bn1(x), inplace=True)
        residual = self.conv2(relu(self.bn2(self.conv1(activated)), inplace=True))
        if self.shortcut is None:
            return x + residual
        return self.shortcut(activated if self.shortcut_input == "activated" else x) + residual


class WideResNet(nn.Module):
    """Wide ResNet of a depth 6n + 4 and a widening factor; WRN-16-1 is depth 16, factor 1."""

    attention_taps: ClassVar[tuple[str, ...]] = ("group1", "group2", "group3")
    """The outputs of the three groups, after the residual sum."""

    def __init__(
        self, depth: int, widen_factor: int, *, in_channels: int, num_classes: int, shortcut_input: ShortcutInput
    ) -> None:
        super().__init__()
        assert (depth - 4) % 6 == 0, depth
        widths = [16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        num_blocks = (depth - 4) // 6

        def group(index: int) -> nn.Sequential:
            first, rest = (widths[index - 1], 1 if index == 1 else 2), (widths[index], 1)
            shapes = [first] + [rest] * (num_blocks - 1)
            return nn.Sequential(
                *(Block(width, widths[index], stride=stride, shortcut_input=shortcut_input) for width, stride in shapes)
            )

        self.conv1 = conv3x3(in_channels, widths[0])
        self.group1 = group(1)
        self.group2 = group(2)
        self.group3 = group(3)
        self.bn = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], num_classes)
        he_normal_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in channels, height, width) to logits (batch, classes)."""
        x = self.group3(self.group2(self.group1(self.conv1(x))))
        return self.fc(adaptive_avg_pool2d(relu(self.bn(x), inplace=True), 1).flatten(1))
