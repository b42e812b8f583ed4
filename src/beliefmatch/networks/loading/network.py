"""Architectures by name: those built in, and whatever the names of other origins stand for."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from beliefmatch.errors import NetworkError, SettingsError, the_nearest
from beliefmatch.memory import check_memory
from beliefmatch.networks.architectures.cifar_resnet import CifarResNet
from beliefmatch.networks.architectures.convnet import ConvNet
from beliefmatch.networks.architectures.fcn import FCN
from beliefmatch.networks.architectures.lenet import LeNet5, LeNet32
from beliefmatch.networks.architectures.mlp import MLP
from beliefmatch.networks.architectures.wide_resnet import WideResNet
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, inspect
from beliefmatch.networks.loading import given, hugging_face, onnx, pt2, timm, torchvision
from beliefmatch.networks.loading.base import AbstractOrigin, split_query
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.loading.python_file import OwnFile, check_trained
from beliefmatch.networks.loading.suggestions import ELSEWHERE, near_form
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.networks.output_forms import give_logits
from beliefmatch.networks.output_kinds import OutputKind

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


def find_origin(architecture: str) -> AbstractOrigin:
    """Return the origin of an architecture by the form of its name; nothing is imported or read."""
    if architecture.startswith(given.PREFIX):
        return given.OfCaller(architecture=architecture)
    if architecture.startswith(timm.PREFIX):
        return timm.FromTimm(architecture=architecture)
    if architecture.startswith(torchvision.PREFIX):
        return torchvision.FromTorchvision(architecture=architecture)
    if architecture.startswith(hugging_face.PREFIX):
        return hugging_face.FromHuggingFace(architecture=architecture)
    if architecture.endswith(pt2.SUFFIX):
        return pt2.ExportedProgram(architecture=architecture)
    if architecture.endswith(onnx.SUFFIX):
        return onnx.OnnxModel(architecture=architecture)
    if ":" in architecture:
        return OwnFile(architecture=architecture)
    return BuiltIn(architecture=architecture)


def make_network(
    architecture: str,
    *,
    in_channels: int,
    num_classes: int,
    pretrained: bool = False,
) -> nn.Module:
    """Build a network with fresh weights from its name, as its origin has it; it may return anything.

    Names that are built in: `wide_resnet_DEPTH_FACTOR`, with `_raw` where the 1x1 shortcut takes the raw input;
    `cifar_resnet_DEPTH`, with `_b` for shortcut option B; `lenet_5`, with `_half`, `_bn`, `_tanh`; `lenet_32`;
    `convnet_WIDTH`; `mlp_WIDTH` with any number of hidden widths, for vectors of features; `fcn_WIDTH` for signals.
    Others: `networks.loading`.

    Args:
        architecture: the name.
        in_channels: channels of its inputs, where the name leaves them open.
        num_classes: likewise.
        pretrained: begin with weights of the origin's own, where the name asks for them.

    Raises:
        NetworkError: the name is unknown (with the nearest), or its network cannot be made.
        ExtraError: the package that it comes from is missing.
    """
    origin = find_origin(architecture)
    return origin.make(in_channels=in_channels, num_classes=num_classes, pretrained=pretrained)


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
        self.make(in_channels=spec.shape[0], num_classes=USUAL_CLASSES)
        raise NetworkError(f"{self.architecture} has no weights: name their file with --teacher.weights FILE")


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


def asks_for_weights(architecture: str) -> bool:
    """Whether a name asks its origin for weights, as `?pretrained` and `?weights=NAME` do."""
    arguments = split_query(architecture)[1]
    return bool(arguments.get("pretrained") or arguments.get("weights"))


def is_own_code(architecture: str) -> bool:
    """Whether a name stands for Python code of a user's, file.py:function, which making its network imports."""
    return isinstance(find_origin(architecture), OwnFile)


def is_missing_file(architecture: str) -> bool:
    """Whether a name stands for Python code in a file that does not exist."""
    location = architecture.rpartition(":")[0]
    return is_own_code(architecture) and location.endswith(".py") and not Path(location).is_file()


def locate(architecture: str) -> str:
    """Return the name of an architecture with any path in it made absolute, so that it can be found from anywhere."""
    return find_origin(architecture).locate()


def _depth(architecture: str, depth: int, *, remainder: int) -> int:
    if depth > MAX_DEPTH:
        raise NetworkError(f"{architecture} is too deep: at most {MAX_DEPTH} layers can be built")
    if depth % 6 != remainder or depth <= remainder:
        fitting = ", ".join(str(6 * n + remainder) for n in range(1, 8))
        raise NetworkError(f"{architecture} cannot be: its depth is 6n + {remainder}, that is {fitting} and so on")
    return depth


@dataclass(frozen=True, kw_only=True)
class Network(AbstractNetwork):
    """A trained network: an architecture and the file with its weights."""

    architecture: str
    """Built-in name such as wide_resnet_40_1; timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function for your own, a
    program exported as .pt2, or an .onnx file."""
    weights: Path | None = None
    """Safetensors file, or state dict written by torch.save. Names that bring their weights may do without."""
    num_classes: int | None = None
    """Number of outputs; a single one stands for two classes. None: those of a network that brings its weights, or 10
    where a file of weights fills an architecture."""
    strip_prefix: str | None = None
    """What keys of the weights begin with, such as module.; by default it is detected, and logged."""
    state_key: str | None = None
    """Which of several state dicts in the file of weights, such as ema; None: the only one."""
    allow_untrained: bool = False
    """Take a function of yours that loads no weights, so that the network is random."""
    outputs: OutputKind | None = None
    """What it returns: logits; probabilities, which sum to 1; sigmoid, a probability for each class by itself; or
    binary, a single output that is that of class 1 of two. multi_label and regression are not supported, and refused.
    None: what its configuration says, or else detected by the values that it returns for noise."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        object.__setattr__(self, "weights", self.weights and self.weights.absolute())

    def load(self, spec: InputSpec) -> nn.Module:
        """Build the network and load its weights; it returns logits of at least two classes. See `load_inspected`."""
        return self.load_inspected(spec, role="teacher")[0]

    def load_inspected(self, spec: InputSpec, *, role: str) -> tuple[nn.Module, Inspection]:
        """Build the network, load its weights and inspect it; a hook converts outputs that are no logits.

        Args:
            spec: of its inputs.
            role: what to call it in errors: teacher or student.

        Raises:
            NetworkError: the architecture cannot be made, has no weights and none were named, is random, does not take
                such inputs, or brings another number of classes or form of outputs than the settings give.
            ExtraError: the package that it comes from is missing.
            SettingsError: there are no classes.
            WeightsError: the weights cannot be read or do not fit.
        """
        expected = self.num_classes
        if expected is not None and expected < 1:
            raise SettingsError(f"num_classes must be at least 1; got {expected}")
        if self.weights is None:
            network = find_origin(self.architecture).load(spec)
            if is_own_code(self.architecture) and not self.allow_untrained:
                check_trained(network, self.architecture)
        else:
            network = make_network(self.architecture, in_channels=spec.shape[0], num_classes=expected or USUAL_CLASSES)
            weights = read_weights(self.weights, state_key=self.state_key)
            fit_weights(network, weights, name=str(self.weights), strip_prefix=self.strip_prefix)
        network.float()
        inspection = self._inspect(network, spec, role)
        found = inspection.num_classes
        if expected is not None and found != max(2, expected):
            raise NetworkError(
                f"{self.architecture} knows {found} classes, but num_classes says {expected}: leave it out, or name "
                "another network"
            )
        if not inspection.returns_logits:
            give_logits(network, inspection.outputs)
        return network, inspection

    def _inspect(self, network: nn.Module, spec: InputSpec, role: str) -> Inspection:
        try:
            return inspect(
                network, spec, role=role, outputs=self.outputs or find_origin(self.architecture).known_outputs()
            )
        except NetworkError as error:
            # The name of a program's class says nothing to a user.
            where = f"{self.architecture}: " if isinstance(network, ConvertedProgram) else ""
            raise NetworkError(f"{where}{error}") from error

    def known_inputs(self) -> InputSpec | None:
        """Return what the network takes, as far as its name or file says, without loading weights; None: neither does.

        Raises:
            NetworkError: the name is unknown, or the file cannot be read.
            ExtraError: the package that it comes from is missing.
        """
        return find_origin(self.architecture).known_inputs()


def load_model(
    name: str,
    *,
    weights: Path | str | None = None,
    num_classes: int | None = None,
    shape: tuple[int, ...] | None = None,
    strip_prefix: str | None = None,
    state_key: str | None = None,
    outputs: OutputKind | None = None,
    allow_untrained: bool = False,
) -> nn.Module:
    """Load any network as teachers are loaded.

    Args:
        name: built-in name, timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function, a .pt2 or an .onnx file.
        weights: safetensors file or state dict, where the name does not bring its weights.
        num_classes: number of classes; None: those of a network that brings its weights, or 10 where a file of weights
            fills an architecture.
        shape: of one input, such as (1, 28, 28); None: what name or file say, or else (3, 32, 32).
        strip_prefix: what keys of the weights begin with, such as `module.`; None: detected, and logged.
        state_key: which of several state dicts in the file of weights, such as `ema`; None: the only one.
        outputs: what the network returns: logits, probabilities that sum to 1, sigmoid, or binary; None: what its
            configuration says, or else detected by the values that it returns for noise.
        allow_untrained: take a function that loads no weights, whose network is random.

    Returns:
        A network in eval mode that maps (batch, *shape) to logits (batch, classes), float32, on the CPU.

    Raises:
        NetworkError: the network cannot be made, has no weights and none were named, does not take inputs of this
            shape, or brings another number of classes or form of outputs than the arguments give.
        ExtraError: the package that it comes from is missing.
        WeightsError: the weights cannot be read or do not fit.
    """
    network = Network(
        architecture=name,
        weights=Path(weights) if weights is not None else None,
        num_classes=num_classes,
        strip_prefix=strip_prefix,
        state_key=state_key,
        outputs=outputs,
        allow_untrained=allow_untrained,
    )
    spec = InputSpec(shape=shape) if shape is not None else network.known_inputs() or CIFAR10
    return network.load(spec).eval()
