"""A small batch-norm convolutional network for small images, of any width: teacher and student of the demo."""

from collections import OrderedDict
from typing import ClassVar

from torch import nn

from beliefmatch.networks.architectures.initialisation import conv3x3


class ConvNet(nn.Sequential):
    """Three stages of convolution, batch-norm and ReLU; the second and third halve the size; then a linear layer.

    It maps (batch, in channels, height, width) to logits (batch, classes).
    """

    attention_taps: ClassVar[tuple[str, ...]] = ("act1", "act2", "act3")
    """The outputs of the three stages."""

    def __init__(self, width: int, *, in_channels: int, num_classes: int) -> None:
        channels = (in_channels, width, 2 * width, 4 * width)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for stage in (1, 2, 3):
            layers[f"conv{stage}"] = conv3x3(channels[stage - 1], channels[stage], stride=1 if stage == 1 else 2)
            layers[f"bn{stage}"] = nn.BatchNorm2d(channels[stage])
            layers[f"act{stage}"] = nn.ReLU()
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(channels[3], num_classes)
        super().__init__(layers)
