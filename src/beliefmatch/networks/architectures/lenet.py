"""LeNet-5: LeCun et al. 1998, in the forms that data-free distillation uses.

For 28x28: convolutions of 6, 16 and 120 channels, then 84 units; the halved form (Lopes et al. 2017) has 3, 8, 60
and 42. For 32x32 with three channels: the form of Micaelli & Storkey's few-shot code.
"""

from collections import OrderedDict
from typing import Literal

from torch import nn

Activation = Literal["relu", "tanh"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class LeNet5(nn.Sequential):
    """LeNet-5 with ReLU or tanh, with or without batch-norm, whole or halved.

    It maps (batch, in channels, 28, 28) to logits (batch, classes).
    """

    def __init__(
        self, *, in_channels: int, num_classes: int, activation: Activation, batch_norm: bool, halved: bool
    ) -> None:
        widths = (3, 8, 60, 42) if halved else (6, 16, 120, 84)
        act = ACTIVATIONS[activation]
        # Without batch-norm an activation before pooling changes nothing: both are monotonic, and one follows pooling.
        inner_act = act if batch_norm else nn.Identity

        def norm(channels: int, *, flat: bool = False) -> nn.Module:
            if not batch_norm:
                return nn.Identity()
            return nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)

        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(in_channels, widths[0], 5, padding=2),
            bn1=norm(widths[0]),
            act1=inner_act(),
            pool1=nn.MaxPool2d(2),
            pool1_bn=norm(widths[0]),
            pool1_act=act(),
            conv2=nn.Conv2d(widths[0], widths[1], 5),
            bn2=norm(widths[1]),
            act2=inner_act(),
            pool2=nn.MaxPool2d(2),
            pool2_bn=norm(widths[1]),
            pool2_act=act(),
            conv3=nn.Conv2d(widths[1], widths[2], 5),
            bn3=norm(widths[2]),
            act3=act(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(widths[2], widths[3]),
            fc1_bn=norm(widths[3], flat=True),
            fc1_act=act(),
            fc2=nn.Linear(widths[3], num_classes),
        )
        super().__init__(layers)


class LeNet32(nn.Sequential):
    """Two unpadded convolutions with ReLU and pooling, then three linear layers.

    It maps (batch, in channels, 32, 32) to logits (batch, classes).
    """

    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, 6, 5),
                act1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(6, 16, 5),
                act2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(400, 120),
                fc1_act=nn.ReLU(),
                fc2=nn.Linear(120, 84),
                fc2_act=nn.ReLU(),
                fc3=nn.Linear(84, num_classes),
            )
        )
