"""ResNet-8 of MLPerf Tiny, from Keras: what a user's own architecture file looks like.

It takes pixels from 0 to 255 as they are, and pads as TensorFlow does: where an odd number of pixels is missing, the
last side gets one more (https://github.com/mlcommons/tiny, benchmark/training/image_classification/keras_model.py).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

EPSILON = 1e-3
"""Of Keras' batch-norm layers, in units of a variance."""


class SamePadded(nn.Conv2d):
    """A convolution with TensorFlow's padding 'same'."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return what the convolution makes of (batch, channels, height, width)."""
        sides = []
        for size, kernel, stride in zip(input.shape[-1:-3:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return super().forward(pad(input, sides))


class Stack(nn.Module):
    """Two convolutions, and a shortcut around them."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = SamePadded(in_channels, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels, eps=EPSILON)
        self.conv2 = SamePadded(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels, eps=EPSILON)
        self.shortcut = nn.Identity() if stride == 1 else SamePadded(in_channels, channels, 1, stride)

    def forward(self, batch: Tensor) -> Tensor:
        """Return features (batch, channels, height / stride, width / stride)."""
        residual = self.bn2(self.conv2(relu(self.bn1(self.conv1(batch)))))
        return relu(residual + self.shortcut(batch))


class ResNet8(nn.Module):
    """Three stacks, for images (batch, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = SamePadded(3, 16, 3)
        self.bn1 = nn.BatchNorm2d(16, eps=EPSILON)
        self.stack1, self.stack2, self.stack3 = Stack(16, 16, 1), Stack(16, 32, 2), Stack(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (batch, 10)."""
        features = self.stack3(self.stack2(self.stack1(relu(self.bn1(self.conv1(batch))))))
        return self.fc(torch.mean(features, dim=(2, 3)))


def make_resnet8() -> nn.Module:
    """Return the network, for ten classes."""
    return ResNet8()
