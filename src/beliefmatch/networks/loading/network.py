"""Architectures by name: those built in, and whatever the names of other origins stand for."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from beliefmatch.errors import NetworkError, SettingsError
from beliefmatch.networks.dtypes import to_32_bits
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, inspect
from beliefmatch.networks.loading import given, hugging_face, onnx, pt2, timm, torchvision
from beliefmatch.networks.loading.base import AbstractOrigin, split_query
from beliefmatch.networks.loading.built_in import USUAL_CLASSES, BuiltIn
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.loading.python_file import OwnFile, check_trained, make_own
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.loading.unsaved_state import check_nothing_unsaved, make_again
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.model_settings import NetworkSettings
from beliefmatch.networks.normalisation import unknown_shape
from beliefmatch.networks.output_forms import give_logits
from beliefmatch.networks.output_kinds import OutputKind
from beliefmatch.networks.outputs import choose_output
from beliefmatch.paths import make_absolute
from beliefmatch.setting_names import Setting, speaks_python


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


@dataclass(frozen=True, kw_only=True)
class Network(NetworkSettings, AbstractNetwork):
    """A trained network: an architecture and the file with its weights."""

    architecture: str
    """Built-in name such as wide_resnet_40_1; timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function for your own, a
    program exported as .pt2, or an .onnx file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        make_absolute(self, "weights")

    def load(self, spec: InputSpec) -> nn.Module:
        """Build the network and load its weights; it returns logits of at least two classes. See `load_inspected`."""
        return self.load_inspected(spec, role="teacher")[0]

    def load_inspected(self, spec: InputSpec, *, role: str) -> tuple[nn.Module, Inspection]:
        """Build the network, load its weights and inspect it; a hook converts outputs that are no logits.

        Args:
            spec: of its inputs.
            role: what to call it in errors: teacher or student.

        Raises:
            NetworkError: the architecture cannot be made, has no weights and none were named, is random, is another in
                every call of its code, does not take such inputs, or brings another number of classes or form of
                outputs than the settings give.
            ExtraError: the package that it comes from is missing.
            SettingsError: there are no classes.
            WeightsError: the weights cannot be read or do not fit.
        """
        expected = self.num_classes
        if expected is not None and expected < 1:
            raise SettingsError(f"{Setting(f'{role}.num_classes')} must be at least 1; got {expected}")
        if self.weights is None:
            network = find_origin(self.architecture).load(spec)
        else:
            network = make_network(self.architecture, in_channels=spec.shape[0], num_classes=expected or USUAL_CLASSES)
            weights = read_weights(self.weights, state_key=self.state_key)
            fit_weights(network, weights, name=str(self.weights), strip_prefix=self.strip_prefix)
        if is_own_code(self.architecture) and (self.weights is not None or not self.allow_untrained):
            again = make_again(lambda: make_own(self.architecture))
            if self.weights is None:
                check_trained(network, again, self.architecture, role=role)
            check_nothing_unsaved(network, again, spec, name=self.architecture, role=role)
        to_32_bits(network, name=self.architecture)
        choose_output(network, self.output)
        inspection = self._inspect(network, spec, role)
        found = inspection.num_classes
        if expected is not None and expected not in (found, inspection.num_outputs):
            raise NetworkError(
                f"{self.architecture} knows {found} classes, but num_classes says {expected}: leave it out, or name "
                "another network"
            )
        if not inspection.returns_logits:
            give_logits(network, inspection.outputs, inspection.task)
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


@speaks_python
def load_model(
    name: str,
    *,
    weights: Path | str | None = None,
    num_classes: int | None = None,
    shape: tuple[int, ...] | None = None,
    strip_prefix: str | None = None,
    state_key: str | None = None,
    outputs: OutputKind | None = None,
    output: str | None = None,
    allow_untrained: bool = False,
) -> nn.Module:
    """Load any network as teachers are loaded.

    Args:
        name: built-in name, timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function, a .pt2 or an .onnx file.
        weights: safetensors file or state dict, where the name does not bring its weights.
        num_classes: number of classes; None: those of a network that brings its weights, or 10 where a file of weights
            fills an architecture.
        shape: of one input, such as (1, 28, 28); None: what name or file say.
        strip_prefix: what keys of the weights begin with, such as `module.`; None: detected, and logged.
        state_key: which of several state dicts in the file of weights, such as `ema`; None: the only one.
        outputs: what the network returns: logits, probabilities that sum to 1, sigmoid, binary, multi_label or
            regression; None: what its configuration says, or else detected, see docs/models.md.
        output: which of several outputs these are, by index or key; None: the only one that may be.
        allow_untrained: take a function that loads no weights, whose network is random.

    Returns:
        A network in eval mode that maps (batch, *shape) to logits (batch, classes), float32, on the CPU.

    Raises:
        NetworkError: the network cannot be made, has no weights and none were named, does not take inputs of this
            shape, or brings another number of classes or form of outputs than the arguments give.
        ExtraError: the package that it comes from is missing.
        SettingsError: nobody says the shape of its inputs.
        WeightsError: the weights cannot be read or do not fit.

    Example:
        >>> import torch
        >>> from beliefmatch import load_model
        >>> weights = {"fc1.weight": torch.randn(8, 4), "fc1.bias": torch.zeros(8)}
        >>> weights |= {"fc2.weight": torch.randn(3, 8), "fc2.bias": torch.zeros(3)}
        >>> torch.save(weights, "weights.pt")
        >>> network = load_model("mlp_8", weights="weights.pt", num_classes=3, shape=(4,))
        >>> network(torch.randn(5, 4)).shape, network.training
        (torch.Size([5, 3]), False)
    """
    network = Network(
        architecture=name,
        weights=Path(weights) if weights is not None else None,
        num_classes=num_classes,
        strip_prefix=strip_prefix,
        state_key=state_key,
        outputs=outputs,
        output=output,
        allow_untrained=allow_untrained,
    )
    spec = network.known_inputs() if shape is None else InputSpec(shape=shape)
    if spec is None:
        raise unknown_shape(name)
    return network.load(spec).eval()
