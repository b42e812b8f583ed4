"""Fully convolutional network for signals: Wang, Yan & Oates 2017, "Time Series Classification from Scratch"."""

from collections import OrderedDict

from torch import nn

KERNELS = (7, 5, 3)
"""The paper's first is 8, which has no middle."""


class FCN(nn.Sequential):
    """Three blocks of convolution, batch-norm and ReLU at the signal's length, their mean over time, a linear layer.

    The paper's width is 128; its second block is twice as wide as the others. It maps (batch, in channels, length) to
    logits (batch, classes).
    """

    def __init__(self, width: int, *, in_channels: int, num_classes: int) -> None:
        channels = (in_channels, width, 2 * width, width)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for block, kernel in enumerate(KERNELS, start=1):
            layers[f"conv{block}"] = nn.Conv1d(channels[block - 1], channels[block], kernel, padding=kernel // 2)
            layers[f"bn{block}"] = nn.BatchNorm1d(channels[block])
            layers[f"act{block}"] = nn.ReLU()
        layers["pool"] = nn.AdaptiveAvgPool1d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(width, num_classes)
        super().__init__(layers)
