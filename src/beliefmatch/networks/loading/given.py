"""Networks that the caller gives in Python: modules, and functions that make them.

A run folder holds their weights and their name, never their code. Where a network has to be made again, such as to
measure or to resume, the caller gives it again.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from beliefmatch.errors import NetworkError, SettingsError, first_line
from beliefmatch.networks.dtypes import to_32_bits
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, inspect
from beliefmatch.networks.loading.base import AbstractOrigin, height_and_width
from beliefmatch.networks.loading.python_file import copy_network, explain_random, random_tensors
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.loading.unsaved_state import check_nothing_unsaved, make_again
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.output_forms import give_logits
from beliefmatch.networks.output_kinds import OutputKind, configured_kind
from beliefmatch.networks.outputs import choose_output
from beliefmatch.runs.reading import IN_MEMORY
from beliefmatch.setting_names import Setting

PREFIX = "given in Python: "
"""How the names of such networks begin in run.json and student.json."""

GivenModule = nn.Module | Callable[[], nn.Module]
"""A module, or a function or class without arguments that makes one."""


def is_given(network: object) -> bool:
    """Whether something is a module or can make one, rather than a name or a path."""
    return isinstance(network, nn.Module) or callable(network)


def name_of(given: GivenModule) -> str:
    """Return the name that stands for a given network in files, such as "given in Python: LeNet5"."""
    if isinstance(given, nn.Module):
        return f"{PREFIX}{type(given).__name__}"
    function = given.func if isinstance(given, functools.partial) else given
    return f"{PREFIX}{getattr(function, '__name__', type(function).__name__)}"


def make_given(given: GivenModule | None, name: str) -> nn.Module:
    """Return a network of our own: a copy of a module, or what a function makes, on the CPU in 32 bits.

    Args:
        given: by the caller; None: settings were read from a run folder, which cannot hold it.
        name: from `name_of`.

    Raises:
        NetworkError: it was not given, or a function fails or returns something else.
    """
    if given is None:
        raise NetworkError(_WANTED.format(name=name))
    network = module_of(given)
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise NetworkError(
            f"the network {name} has layers that learn their size from the first input: run it on one batch first"
        )
    return to_32_bits(copy_network(network).cpu(), name=name.removeprefix(PREFIX))


_WANTED = (
    "the network was {name}, and files do not hold its code: give it again, as compress(teacher, student, ...), "
    "load_student(folder, architecture=student) or measure_run(folder, ..., given=GivenNetworks(teacher=..., "
    "student=...))"
)


def module_of(given: GivenModule) -> nn.Module:
    """Return a module itself, or what a function makes.

    Raises:
        NetworkError: the function fails, or returns something else.
    """
    return given if isinstance(given, nn.Module) else _call(given, name_of(given))


def _call(make: Callable[[], object], name: str) -> nn.Module:
    try:
        network = make()
    except Exception as error:
        # It is the caller's own code.
        raise NetworkError(
            f"{name} failed when it was called without arguments: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{name} returned a {type(network).__name__}, expected a torch.nn.Module")
    return network


def _check_trained(network: nn.Module, make: Callable[[], nn.Module], name: str) -> None:
    """Check that a function loads weights, as one that is named in a file is checked."""
    if random := random_tensors(network, make_again(lambda: _call(make, name))):
        raise NetworkError(
            f"{name} {explain_random(network, random)}, so the teacher would be untrained. Load trained weights in it, "
            f"name their file with {Setting('teacher.weights')}, give the module itself, which is taken as it is, or "
            f"add {Setting('teacher.allow_untrained', value=True)}"
        )


@dataclass(frozen=True, kw_only=True)
class GivenNetworks:
    """Networks to give again to what reads a run folder, where the run was given them in Python."""

    teacher: GivenModule | None = None
    """The teacher, with its weights. None: the folder names it."""
    student: GivenModule | None = None
    """The student; its weights are read from the folder. None: the folder names it."""


@dataclass(frozen=True, kw_only=True)
class OfCaller(AbstractOrigin):
    """The name of a network that was given in Python, as files hold it: nothing can be made from it alone."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Raise an error that says how to give the network again."""
        return make_given(None, self.architecture)

    def load(self, spec: InputSpec) -> nn.Module:
        """Raise an error that says how to give the network again."""
        return make_given(None, self.architecture)


@dataclass(frozen=True, kw_only=True)
class GivenNetwork(AbstractNetwork):
    """A trained network that the caller gave in Python. Neither it nor its mode changes: runs take copies."""

    outputs: OutputKind | None = None
    """What it returns; see `Network.outputs`."""
    output: str | None = None
    """Which of several outputs; see `Network.output`."""
    state_key: str | None = None
    """Which of several state dicts in the file of weights; see `Network.state_key`."""
    module: nn.Module | None = field(default=None, compare=False, repr=False, metadata=IN_MEMORY)
    """The network itself. None: the settings were read from a run folder."""
    make: Callable[[], nn.Module] | None = field(default=None, compare=False, repr=False, metadata=IN_MEMORY)
    """The function that made it. None: the network itself was given."""

    @classmethod
    def of(
        cls,
        given: GivenModule,
        *,
        weights: Path | None = None,
        state_key: str | None = None,
        outputs: OutputKind | None = None,
        output: str | None = None,
        allow_untrained: bool = False,
    ) -> "GivenNetwork":
        """Hold a module, or what a function without arguments makes.

        Raises:
            NetworkError: the function fails, returns something else, or loads no weights where no file of them is
                named and no random network is allowed. A module is taken as it is.
        """
        name, module = name_of(given), module_of(given)
        if not isinstance(given, nn.Module) and weights is None and not allow_untrained:
            _check_trained(module, given, name)
        return cls(
            architecture=name,
            weights=weights and weights.absolute(),
            state_key=state_key,
            outputs=outputs,
            output=output,
            module=module,
            make=None if isinstance(given, nn.Module) else given,
        )

    def load_inspected(self, spec: InputSpec, *, role: str) -> tuple[nn.Module, Inspection]:
        """Copy the module, load weights into the copy where a file is named, and inspect it.

        Raises:
            NetworkError: a function made it, and makes another in every call, whatever weights are loaded; or see
                `AbstractNetwork.load_inspected`.
        """
        network = make_given(self.module, self.architecture)
        if self.weights is not None:
            weights = read_weights(self.weights, state_key=self.state_key)
            fit_weights(network, weights, name=str(self.weights))
        if self.make is not None:
            again = make_given(make_again(functools.partial(_call, self.make, self.architecture)), self.architecture)
            check_nothing_unsaved(network, again, spec, name=self.architecture, role=role)
        choose_output(network, self.output)
        kind = self.outputs or configured_kind(getattr(network, "config", None))
        inspection = inspect(network, spec, role=role, outputs=kind)
        if not inspection.returns_logits:
            give_logits(network, inspection.outputs, inspection.task)
        return network, inspection

    def known_inputs(self) -> InputSpec | None:
        """Return what the configuration of a module of timm or Hugging Face says."""
        return None if self.module is None else _configured_inputs(self.module)


def _configured_inputs(module: nn.Module) -> InputSpec | None:
    """Read the size, and for timm the normalisation, where these packages keep them; None: they keep none."""
    config: Any = getattr(module, "pretrained_cfg", None)
    try:
        if isinstance(config, dict) and config.get("input_size"):
            mean, std = (tuple(map(float, config.get(name) or ())) or None for name in ("mean", "std"))
            known = "checkpoint" if mean and std else "default"
            return InputSpec(shape=tuple(config["input_size"]), mean=mean, std=std, normalisation_from=known)
        config = getattr(module, "config", None)
        if size := height_and_width(getattr(config, "image_size", None)):
            return InputSpec(shape=(int(getattr(config, "num_channels", 3)), *size), normalisation_from="default")
    except (TypeError, ValueError, SettingsError):
        # Another's attribute of the same name.
        return None
    return None
