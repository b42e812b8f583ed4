"""Networks to prune, of each kind that there is."""

import torch
from torch import Tensor, nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network

SHAPES = {
    "cifar_resnet_20": (3, 16, 16),
    "cifar_resnet_20_b": (3, 16, 16),
    "wide_resnet_16_1": (3, 16, 16),
    "lenet_5": (1, 28, 28),
    "lenet_5_bn": (1, 28, 28),
    "mlp_64_48": (12,),
    "fcn_32": (1, 32),
    "depthwise": (3, 16, 16),
    "own": (3, 8, 8),
}


class Depthwise(nn.Sequential):
    """Depthwise and pointwise convolutions with batch-norm and a PReLU for each channel, as in MobileNets."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.PReLU(16),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.BatchNorm2d(16),
            nn.PReLU(),
            nn.Conv2d(16, 32, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        )


class Own(nn.Module):
    """A concatenation, a reshape that knows its number of channels, and layer normalisation of features."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.joined = nn.Conv2d(24, 16, 3, padding=1)
        self.split = nn.Conv2d(16, 8, 1)
        self.hidden, self.norm, self.head = nn.Linear(4, 32), nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.first(x).relu(), self.second(x).relu()], dim=1)
        x = self.split(self.joined(x).relu()).reshape(-1, 4, 2, 8, 8).mean(dim=(2, 3, 4))
        return self.head(self.norm(self.hidden(x)).relu())


class Residual(nn.Module):
    """A block x + f(x), whose f can be made weak."""

    def __init__(self, width: int, strength: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        return x + self.strength * self.inner(x)


def spec_of(name: str) -> InputSpec:
    return InputSpec(shape=SHAPES[name])


def make(name: str) -> nn.Module:
    """Make a network with random weights and batch-norm statistics, in eval mode."""
    torch.manual_seed(3)
    own = {"depthwise": Depthwise, "own": Own}
    network = own[name]() if name in own else make_network(name, in_channels=SHAPES[name][0], num_classes=10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
    return network.eval()
