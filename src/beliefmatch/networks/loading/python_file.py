"""A network of the user's own, by `file.py:function` or `package.module:function`."""

import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from beliefmatch.errors import BeliefMatchError, NetworkError, first_line, the_nearest
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin
from beliefmatch.networks.loading.suggestions import misses_prefix, near_paths, near_prefixes
from beliefmatch.networks.loading.torch_checkpoint import explain_torchscript
from beliefmatch.networks.state_dicts import are_equal
from beliefmatch.setting_names import Setting


@dataclass(frozen=True, kw_only=True)
class OwnFile(AbstractOrigin):
    """A function without arguments that returns the network, with fresh or trained weights."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network by the user's function, which fixes channels and classes."""
        return make_own(self.architecture)

    def load(self, spec: InputSpec) -> nn.Module:
        """Build the network by the user's function, which may load weights."""
        return make_own(self.architecture)

    def known_inputs(self) -> InputSpec | None:
        """Return None: a function does not say what its network takes. A missing file or package is an error."""
        location = self.architecture.rpartition(":")[0]
        if location.endswith(".py"):
            _check_file(Path(location))
        elif not _is_installed(location.partition(".")[0]):
            raise _unknown_module(self.architecture, location)
        return None

    def locate(self) -> str:
        """Return the architecture with the path of a file made absolute; a module's name stays as it is."""
        location, _, function = self.architecture.rpartition(":")
        return f"{Path(location).absolute()}:{function}" if location.endswith(".py") else self.architecture


def check_trained(network: nn.Module, again: nn.Module, architecture: str, *, role: str) -> None:
    """Check that a user's function loads weights: two constructions from two seeds are equal then.

    Args:
        network: made by the function, from whatever seed.
        again: from `make_again`.
        architecture: name of the function.
        role: what to call the network, and its flags, in the error: teacher or student.

    Raises:
        NetworkError: the two differ.
    """
    if random := random_tensors(network, again):
        weights, allowed = (
            Setting(f"{role}.weights", placeholder="FILE"),
            Setting(f"{role}.allow_untrained", value=True),
        )
        ways = f"name their file with {weights}"
        ways = f"{ways}, or add {allowed}" if allowed.is_known else f"or {ways}"
        raise NetworkError(
            f"{architecture} {explain_random(network, random)}, so it would be an untrained {role}. Load trained "
            f"weights in it, {ways}"
        )


def random_tensors(network: nn.Module, again: nn.Module) -> list[str]:
    """Return the names of tensors in which a network differs from another construction, of `make_again`."""
    other = again.state_dict()
    return [
        name for name, tensor in network.state_dict().items() if name not in other or not are_equal(tensor, other[name])
    ]


def explain_random(network: nn.Module, random: list[str]) -> str:
    """Return what errors say of a function that makes a network of which some tensors are random."""
    return (
        f"loads no weights, or not all: {len(random)} of {len(network.state_dict())} tensors differ between two calls, "
        f"such as {random[0]}"
    )


def make_own(architecture: str) -> nn.Module:
    """Build a network by the user's function, as a copy, since the function may return the same one twice.

    Raises:
        NetworkError: it cannot be found, fails, or returns something else.
    """
    location, _, name = architecture.rpartition(":")
    folder = str(Path(location).parent.absolute() if location.endswith(".py") else Path.cwd())
    # The user's file may import its neighbours, at once or when it is called.
    sys.path.insert(0, folder)
    try:
        return copy_network(_call(architecture, location, name))
    finally:
        sys.path.remove(folder)


def _is_installed(package: str) -> bool:
    """Whether a package or a module of one file can be imported, from the working directory too; nothing is."""
    if not package or package in sys.modules:
        return bool(package)
    return bool(importlib.util.find_spec(package) or PathFinder.find_spec(package, [str(Path.cwd())]))


def _unknown_module(architecture: str, location: str) -> NetworkError:
    return NetworkError(f"no origin or module is called {location!r}; {near_prefixes(architecture)}")


def _call(architecture: str, location: str, name: str) -> nn.Module:
    try:
        module = _import_file(Path(location)) if location.endswith(".py") else importlib.import_module(location)
    except BeliefMatchError:
        raise
    except Exception as error:
        if not location.endswith(".py") and _is_missing(location, error):
            raise _unknown_module(architecture, location) from error
        raise NetworkError(f"{location} cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    make: Callable[[], object] | None = getattr(module, name, None)
    if make is None:
        found = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        others = f"; or else {near_prefixes(architecture)}" if misses_prefix(location) else ""
        raise NetworkError(f"{location} has no function {name!r}; {the_nearest(name, found)}{others}")
    try:
        network = make()
    except Exception as error:
        raise NetworkError(f"{architecture} failed when called: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{architecture} returned a {type(network).__name__}, expected a torch.nn.Module")
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
        raise NetworkError(explain_torchscript(f"what {architecture} returned"))
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise NetworkError(
            f"{architecture} returned layers that learn their size from the first input: let it run the network once"
        )
    return network


def copy_network(network: nn.Module) -> nn.Module:
    """Copy a network.

    Raises:
        NetworkError: it holds something that cannot be copied.
    """
    # A tensor that is computed of parameters, as torch's older weight normalisation keeps one, has no copy of its own.
    computed = [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    ]
    try:
        return copy.deepcopy(network, {id(value): value.detach().clone() for value in computed})
    except Exception as error:
        raise NetworkError(
            f"{type(network).__name__} cannot be copied, and only copies of your networks are used: {first_line(error)}"
            f"{_what_cannot_be_copied(network, computed)}; keep that outside of it, or give its class __deepcopy__"
        ) from error


def _what_cannot_be_copied(network: nn.Module, computed: list[Tensor]) -> str:
    """Return a clause that names the attribute which cannot be copied; empty where no single one is to blame."""
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            try:
                copy.deepcopy(value, {id(each): each for each in (*computed, *module.modules())})
            except Exception:
                return f", at {f'{path}.{name}' if path else name}, a {type(value).__name__}"
    return ""


def _is_missing(location: str, error: Exception) -> bool:
    """Whether there is no such module, rather than one that fails."""
    if not all(part.isidentifier() for part in location.split(".")):
        return True
    return isinstance(error, ModuleNotFoundError) and f"{location}.".startswith(f"{error.name}.")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise NetworkError(f"no file at {path}{near_paths(path)}")


def _import_file(path: Path) -> object:
    _check_file(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
