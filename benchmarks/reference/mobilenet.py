"""A network of depthwise convolutions for images of 28 x 28 in grey, after Howard et al. 2017 (MobileNet)."""

from torch import nn


def make_mobilenet() -> nn.Module:
    """Build a network of 6 depthwise blocks, with batch-norm and ReLU6 after each convolution."""
    layers, channels = _convolution(1, 16, 3, stride=2), 16
    for outputs, stride in ((32, 1), (48, 2), (48, 1), (96, 2), (96, 1), (96, 1)):
        layers += _convolution(channels, channels, 3, stride=stride, groups=channels)
        layers += _convolution(channels, outputs, 1)
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def _convolution(inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]
