"""Architectures by name, and a user's own by `file.py:function`."""

import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from beliefmatch.errors import BeliefMatchError, NetworkError, SettingsError
from beliefmatch.models.cifar_resnet import CifarResNet
from beliefmatch.models.convnet import ConvNet
from beliefmatch.models.inputs import InputSpec
from beliefmatch.models.lenet import LeNet5, LeNet32
from beliefmatch.models.mlp import MLP
from beliefmatch.models.weights import fit_weights, read_weights
from beliefmatch.models.wide_resnet import WideResNet

EXAMPLES = (
    *(f"wide_resnet_{depth}_{factor}{raw}" for depth in (16, 28, 40) for factor in (1, 2) for raw in ("", "_raw")),
    *(f"cifar_resnet_{depth}{option}" for depth in (20, 32, 44, 56, 110) for option in ("", "_b")),
    *(f"lenet_5{half}{form}" for half in ("", "_half") for form in ("", "_bn", "_tanh")),
    "lenet_32",
    *(f"convnet_{width}" for width in (8, 32)),
    "mlp_100_500",
)
"""Names that stand for all: depths, widths and factors are free where the literature leaves them free."""


def make_network(architecture: str, *, in_channels: int, num_classes: int) -> nn.Module:
    """Make a network with fresh weights from its name.

    Names: `wide_resnet_DEPTH_FACTOR`, with `_raw` where the 1x1 shortcut takes the raw input; `cifar_resnet_DEPTH`,
    with `_b` for shortcut option B; `lenet_5`, with `_half`, `_bn`, `_tanh`; `lenet_32`; `convnet_WIDTH`; `mlp_WIDTH`
    with any number of hidden widths, for vectors of features; or `file.py:function` or `package.module:function`,
    called without arguments.

    Raises:
        NetworkError: the name is unknown (with the nearest), or the user's function fails.
    """
    if ":" in architecture:
        return _make_own(architecture)
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
    nearest = ", ".join(difflib.get_close_matches(architecture, EXAMPLES, n=3, cutoff=0))
    raise NetworkError(
        f"no architecture is called {architecture!r}; the nearest are {nearest}. Your own: my_file.py:make_network"
    )


def locate(architecture: str) -> str:
    """Make the path in `file.py:function` absolute, so that a run can be loaded from anywhere; leave other names."""
    place, _, function = architecture.rpartition(":")
    return f"{Path(place).absolute()}:{function}" if place.endswith(".py") else architecture


def _depth(architecture: str, depth: int, *, remainder: int) -> int:
    if depth % 6 != remainder or depth <= remainder:
        fitting = ", ".join(str(6 * n + remainder) for n in range(1, 8))
        raise NetworkError(f"{architecture} cannot be: its depth is 6n + {remainder}, that is {fitting} and so on")
    return depth


def _make_own(architecture: str) -> nn.Module:
    place, _, name = architecture.rpartition(":")
    folder = str(Path(place).parent.absolute() if place.endswith(".py") else Path.cwd())
    # The user's file may import its neighbours, at once or when it is called.
    sys.path.insert(0, folder)
    try:
        return _call_own(architecture, place, name)
    finally:
        sys.path.remove(folder)


def _call_own(architecture: str, place: str, name: str) -> nn.Module:
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except BeliefMatchError:
        raise
    except Exception as error:
        raise NetworkError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    make: Callable[[], object] | None = getattr(module, name, None)
    if make is None:
        found = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        nearest = ", ".join(difflib.get_close_matches(name, found, n=3, cutoff=0)) or "none"
        raise NetworkError(f"{place} has no function {name!r}; the nearest are {nearest}")
    try:
        network = make()
    except Exception as error:
        raise NetworkError(f"{architecture} failed when called: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{architecture} returned a {type(network).__name__}, expected a torch.nn.Module")
    return network


def _import_file(path: Path) -> object:
    if not path.is_file():
        raise NetworkError(f"no file at {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, kw_only=True)
class Network:
    """A trained network: an architecture and the file with its weights."""

    architecture: str
    """Built-in name such as wide_resnet_40_1, or file.py:function for your own."""
    weights: Path | None = None
    """Safetensors file, or state dict written by torch.save. Only your own function may do without."""
    num_classes: int = 10
    """Number of classes of a built-in architecture."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        object.__setattr__(self, "weights", self.weights and self.weights.absolute())

    def load(self, spec: InputSpec) -> nn.Module:
        """Make the network and load its weights.

        Raises:
            NetworkError: the architecture cannot be made, or is built in and has no weights.
            SettingsError: there are fewer than two classes.
            WeightsError: the weights cannot be read or do not fit.
        """
        if self.num_classes < 2:
            raise SettingsError(f"num_classes must be at least 2; got {self.num_classes}")
        if self.weights is None and ":" not in self.architecture:
            raise NetworkError(f"{self.architecture} has no weights: name their file with --teacher.weights FILE")
        network = make_network(self.architecture, in_channels=spec.shape[0], num_classes=self.num_classes)
        if self.weights is not None:
            fit_weights(network, read_weights(self.weights), name=str(self.weights))
        return network.float()
