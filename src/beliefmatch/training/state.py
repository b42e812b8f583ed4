"""One generic pack and unpack, so that whatever moves in any method is checkpointed and resumed bit for bit.

A state is a dataclass of modules, optimisers, schedules, random generators, tensors, numbers and such dataclasses.
Fields marked as `sources.base.FIXED` never move and are left out.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from beliefmatch.errors import ResumeError
from beliefmatch.sources.base import FIXED

Packed = dict[str, Any]
Moving = TypeVar("Moving")


def pack(state: Any) -> Packed:
    """Copy everything that moves into dicts and tensors, which `torch.load(weights_only=True)` reads."""
    packed = {}
    for name, value in _fields(state):
        if isinstance(value, nn.Module):
            packed[name] = {**value.state_dict(), **_unsaved_buffers(value)}
        elif isinstance(value, torch.optim.Optimizer | LRScheduler):
            packed[name] = value.state_dict()
        elif isinstance(value, torch.Generator):
            packed[name] = value.get_state()
        elif dataclasses.is_dataclass(value):
            packed[name] = pack(value)
        elif not isinstance(value, torch.dtype):
            assert isinstance(value, Tensor | int | float | str | None), f"{name}: {type(value)} cannot be packed"
            packed[name] = value
    return packed


def unpack(state: Any, packed: Packed) -> None:
    """Restore packed values into a state that was started with the same settings, in place.

    Raises:
        ResumeError: the packed values belong to another kind of state.
    """
    for name, value in _fields(state):
        if isinstance(value, torch.dtype):
            continue
        if name not in packed:
            raise ResumeError(f"was written by another version or another recipe: it has no {name}")
        new = packed[name]
        if isinstance(value, nn.Module):
            for key, buffer in _unsaved_buffers(value).items():
                buffer.copy_(new.pop(key))
            value.load_state_dict(new)
        elif isinstance(value, torch.optim.Optimizer):
            _unpack_optimiser(value, new)
        elif isinstance(value, LRScheduler):
            value.load_state_dict(new)
        elif isinstance(value, torch.Generator):
            value.set_state(new.cpu())
        elif dataclasses.is_dataclass(value):
            unpack(value, new)
        elif isinstance(value, Tensor):
            value.copy_(new)
        else:
            setattr(state, name, _checked_number(name, new, value))


def _checked_number(name: str, new: Any, value: Any) -> Any:
    """Return a packed value, if it is of the type of the one that it replaces; counters are not below 0."""
    is_number = isinstance(value, int | float)
    if is_number and (type(new) is not type(value) or not new >= 0):
        raise ResumeError(f"is damaged: its {name} is {str(new)[:60]}, expected {type(value).__name__} of at least 0")
    return new


def modules_in(state: Any) -> Iterator[nn.Module]:
    """Yield the modules of a state, in order."""
    return _all_in(state, nn.Module)


def generators_in(state: Any) -> Iterator[torch.Generator]:
    """Yield the random generators of a state, in order."""
    return _all_in(state, torch.Generator)


def drop_gradients(state: Any) -> None:
    """Drop the gradients of all tensors of a state, as between rounds."""
    for module in modules_in(state):
        module.zero_grad(set_to_none=True)
    for optimiser in _all_in(state, torch.optim.Optimizer):
        optimiser.zero_grad(set_to_none=True)


def _all_in(state: Any, kind: type[Moving]) -> Iterator[Moving]:
    for _, value in _fields(state):
        if isinstance(value, kind):
            yield value
        elif dataclasses.is_dataclass(value):
            yield from _all_in(value, kind)


def _unpack_optimiser(optimiser: torch.optim.Optimizer, packed: Packed) -> None:
    rates = [group["lr"] for group in optimiser.param_groups]
    optimiser.load_state_dict(packed)
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        if isinstance(rate, Tensor):
            # Schedule and captured rounds know this tensor, so it stays and takes the value.
            rate.fill_(group["lr"])
            group["lr"] = rate


def _unsaved_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Buffers that a module leaves out of its state dict, and that move all the same."""
    saved = module.state_dict()
    return {name: buffer for name, buffer in module.named_buffers() if name not in saved}


def _fields(state: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(state):
        if field.metadata != FIXED:
            yield field.name, getattr(state, field.name)
