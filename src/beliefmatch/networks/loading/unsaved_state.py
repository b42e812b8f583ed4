"""What a network's outputs depend on and its state dict does not hold, so that every load makes another network."""

import copy
import functools
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.recording import noise_for
from beliefmatch.networks.state_dicts import are_equal

SECOND_SEED = 8_675_309
"""Of the construction that another is compared with."""
NUDGE = 0.01
"""Standard deviation of what is added to the parameters before outputs are compared, since fresh heads of zeros give
zeros whatever comes before them."""
TOLERANCE = 1e-4
"""Difference of outputs, in units of the largest or of 1, that rounding may make."""
DEPTH = 8
"""Objects within objects that are looked into."""
NUM_NAMED = 3
OF_EVERY_MODULE = frozenset(vars(nn.Module())) - {"_parameters", "_buffers", "_modules"}


def make_again(make: Callable[[], nn.Module]) -> nn.Module:
    """Make a network once more, from another seed; torch's random state stays as it is."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(SECOND_SEED)
        return make()


def check_nothing_unsaved(network: nn.Module, other: nn.Module, spec: InputSpec, *, name: str, role: str) -> None:
    """Check that two networks that the same code made give the same outputs once they have the same state dict.

    Otherwise every load makes another network. Nothing runs where both hold the same beside their state dicts.

    Args:
        network: stays as it is.
        other: from `make_again`; gets another state.
        spec: of the inputs.
        name: of the code that made both.
        role: what to call the network in the error: teacher or student.

    Raises:
        NetworkError: outputs differ.
    """
    differing = _differing(network, other)
    if differing and _give_other_outputs(network, other, spec):
        more = f" and {len(differing) - NUM_NAMED} more" if len(differing) > NUM_NAMED else ""
        raise NetworkError(
            f"{name} makes another {role} each time that it is called, whatever weights are loaded: no state dict "
            f"holds {', '.join(differing[:NUM_NAMED])}{more}, where two calls differ. Keep layers in a ModuleList and "
            "tensors as parameters or persistent buffers, or draw them from a seed of their own"
        )


def _differing(network: nn.Module, other: nn.Module) -> list[str]:
    """Return the paths of what two networks hold beside their state dicts and is not the same; tensors first."""
    # Attributes may be objects of any kind, and fail in any way when they are read.
    with suppress(Exception):
        first, second = (dict(_unsaved(each)) for each in (network, other))
        found = [path for path, value in first.items() if path not in second or not _is_same(value, second[path])]
        return sorted(found, key=lambda path: not isinstance(first[path], Tensor))
    return []


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and are_equal(first, second)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and first.tobytes() == second.tobytes()
    return repr(first) == repr(second)


def _unsaved(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield tensors, arrays and numbers in attributes of a network that its state dict does not hold, by their path."""
    state = network.state_dict(keep_vars=True)
    yield from _walk(network, "", {id(value) for value in state.values()}, DEPTH)


def _walk(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool | int | float | complex):
        yield path, value
    elif depth and id(value) not in seen:
        seen.add(id(value))
        if isinstance(value, Tensor | np.ndarray):
            yield path, value
            return
        below = depth if isinstance(value, nn.Module) else depth - 1
        for step, part in _parts(value):
            yield from _walk(part, (path + step).removeprefix("."), seen, below)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, each with the step of the path that leads there."""
    if isinstance(value, nn.Module):
        for name, part in vars(value).items():
            if name in ("_parameters", "_buffers", "_modules"):
                yield from ((f".{key}", each) for key, each in part.items())
            elif name not in OF_EVERY_MODULE:
                yield f".{name}", part
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, functools.partial):
        yield from (("", value.func), ("", value.args), ("", value.keywords))
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
    elif isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            with suppress(ValueError):
                yield f".{name}", cell.cell_contents
    elif hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType):
        yield from ((f".{name}", part) for name, part in vars(value).items())


def _give_other_outputs(network: nn.Module, other: nn.Module, spec: InputSpec) -> bool:
    """Whether outputs of a copy of a network and of another with the same state differ on noise."""
    with suppress(Exception), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        # A network may fail in any way of its own, which its inspection names.
        copied = copy.deepcopy(network)
        _nudge(copied)
        other.load_state_dict(copied.state_dict())
        noise = noise_for(copied, spec, num_examples=2)
        return any(_differ(*pair) for pair in zip(_run(copied, noise), _run(other, noise), strict=True))
    return False


@torch.no_grad()
def _nudge(network: nn.Module) -> None:
    torch.manual_seed(SECOND_SEED)
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.add_(NUDGE * torch.randn_like(parameter))


def _run(network: nn.Module, noise: Tensor) -> list[Tensor]:
    """Return the tensors of floats that a network in eval mode returns; what it draws is the same every time."""
    torch.manual_seed(SECOND_SEED)
    with evaluating(network), torch.no_grad():
        leaves = tree_leaves(network(noise.clone()))
    return [each.double() for each in leaves if isinstance(each, Tensor) and each.is_floating_point()]


def _differ(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() > TOLERANCE * max(1.0, float(first.abs().max())))
