"""Multi-layer perceptron of any widths, for inputs that are one vector of features."""

from collections import OrderedDict

from torch import nn


class MLP(nn.Sequential):
    """Linear layers with ReLU between them: (batch, features) to logits (batch, classes), PyTorch's initial weights."""

    def __init__(self, hidden_widths: tuple[int, ...], *, in_channels: int, num_classes: int) -> None:
        widths = (in_channels, *hidden_widths)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, width in enumerate(hidden_widths, start=1):
            layers[f"fc{number}"] = nn.Linear(widths[number - 1], width)
            layers[f"act{number}"] = nn.ReLU()
        layers[f"fc{len(widths)}"] = nn.Linear(widths[-1], num_classes)
        super().__init__(layers)
