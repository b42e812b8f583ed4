"""Architectures that are built in: the literature's, by name."""

import re
from dataclasses import dataclass

import torch
from torch import nn

from beliefmatch.errors import NetworkError, the_nearest
from beliefmatch.memory import check_memory
from beliefmatch.networks.architectures.cifar_resnet import CifarResNet
from beliefmatch.networks.architectures.convnet import ConvNet
from beliefmatch.networks.architectures.fcn import FCN
from beliefmatch.networks.architectures.lenet import LeNet5, LeNet32
from beliefmatch.networks.architectures.mlp import MLP
from beliefmatch.networks.architectures.wide_resnet import WideResNet
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin
from beliefmatch.networks.loading.suggestions import ELSEWHERE, near_form
from beliefmatch.setting_names import Setting

EXAMPLES = (
    *(f"wide_resnet_{depth}_{factor}{raw}" for depth in (16, 28, 40) for factor in (1, 2) for raw in ("", "_raw")),
    *(f"cifar_resnet_{depth}{option}" for depth in (20, 32, 44, 56, 110) for option in ("", "_b")),
    *(f"lenet_5{half}{form}" for half in ("", "_half") for form in ("", "_bn", "_tanh")),
    "lenet_32",
    *(f"convnet_{width}" for width in (8, 32)),
    "mlp_100_500",
    "fcn_128",
)
"""Names that stand for all: depths, widths and factors are free where the literature leaves them free."""
MAX_DEPTH = 2000
"""Layers of a network of a name; the deepest of the literature has 1,202."""
MAX_NUMBERS, MAX_DIGITS = 100, 7
"""Numbers in a name, such as widths, and digits that each may have."""
SURELY_FITS = 512
"""Widths below this make no network that is large."""
USUAL_CLASSES = 10
"""Number of outputs where neither settings nor weights give one."""


@dataclass(frozen=True, kw_only=True)
class BuiltIn(AbstractOrigin):
    """An architecture of ours."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network that the name describes."""
        sizes = {"in_channels": in_channels, "num_classes": num_classes}
        _check_size(self.architecture, **sizes)
        return _make_built_in(self.architecture, **sizes)

    def load(self, spec: InputSpec) -> nn.Module:
        """Raise an error: an architecture of ours has no weights."""
        # A name that cannot be is an error of its own, and is told without the memory that its network would take.
        sizes = {"in_channels": spec.shape[0], "num_classes": USUAL_CLASSES}
        _check_size(self.architecture, **sizes)
        with torch.device("meta"):
            _make_built_in(self.architecture, **sizes)
        raise NetworkError(
            f"{self.architecture} has no weights: name their file with {Setting('teacher.weights', placeholder='FILE')}"
        )

    def known_inputs(self) -> InputSpec | None:
        """Return None: names of ours leave the inputs open. An unknown one is an error before anything is asked for."""
        _check_size(self.architecture, in_channels=1, num_classes=USUAL_CLASSES)
        with torch.device("meta"):
            _make_built_in(self.architecture, in_channels=1, num_classes=USUAL_CLASSES)
        return None


def _check_size(architecture: str, *, in_channels: int, num_classes: int) -> None:
    """Check that a name stands for a network that fits in memory, before it is built."""
    numbers = re.findall(r"\d+", architecture)
    if len(numbers) > MAX_NUMBERS or any(len(number) > MAX_DIGITS for number in numbers):
        raise NetworkError(
            f"{architecture[:60]} is too large: a name has at most {MAX_NUMBERS} numbers of {MAX_DIGITS} digits"
        )
    if max(map(int, (*numbers, in_channels, num_classes))) < SURELY_FITS:
        return
    # Tensors on this device have sizes and no memory.
    with torch.device("meta"):
        network = _make_built_in(architecture, in_channels=in_channels, num_classes=num_classes)
    needed = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    check_memory(needed, f"the parameters of {architecture}", "take a smaller one", error=NetworkError)


def _make_built_in(architecture: str, *, in_channels: int, num_classes: int) -> nn.Module:
    sizes = {"in_channels": in_channels, "num_classes": num_classes}
    if match := re.fullmatch(r"wide_resnet_(\d+)_(\d+)(_raw)?", architecture):
        depth, factor = _depth(architecture, int(match[1]), remainder=4), int(match[2])
        return WideResNet(depth, factor, **sizes, shortcut_input="raw" if match[3] else "activated")
    if match := re.fullmatch(r"cifar_resnet_(\d+)(_b)?", architecture):
        return CifarResNet(_depth(architecture, int(match[1]), remainder=2), **sizes, shortcut="B" if match[2] else "A")
    if match := re.fullmatch(r"lenet_5(_half)?(_bn)?(_tanh)?", architecture):
        half, norm, tanh = match.groups()
        return LeNet5(**sizes, activation="tanh" if tanh else "relu", batch_norm=bool(norm), halved=bool(half))
    if architecture == "lenet_32":
        return LeNet32(**sizes)
    if match := re.fullmatch(r"convnet_([1-9]\d*)", architecture):
        return ConvNet(int(match[1]), **sizes)
    if re.fullmatch(r"mlp(_[1-9]\d*)+", architecture):
        return MLP(tuple(map(int, architecture.split("_")[1:])), **sizes)
    if match := re.fullmatch(r"fcn_([1-9]\d*)", architecture):
        return FCN(int(match[1]), **sizes)
    if form := near_form(architecture):
        raise NetworkError(form)
    nearest = the_nearest(architecture, EXAMPLES)
    raise NetworkError(f"no architecture is called {architecture!r}; {nearest}. Others: {ELSEWHERE}")


def _depth(architecture: str, depth: int, *, remainder: int) -> int:
    if depth > MAX_DEPTH:
        raise NetworkError(f"{architecture} is too deep: at most {MAX_DEPTH} layers can be built")
    if depth % 6 != remainder or depth <= remainder:
        fitting = ", ".join(str(6 * n + remainder) for n in range(1, 8))
        raise NetworkError(f"{architecture} cannot be: its depth is 6n + {remainder}, that is {fitting} and so on")
    return depth
