"""Choosing the channels to remove so that a part of a network's cost is left."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import count_macs, least_of_repeats, measure_latency
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning.channel_groups import (
    ChannelGroup,
    Removed,
    find_groups,
    kept_layers,
    removed_with,
    without,
)
from beliefmatch.networks.pruning.prunable import ELSE, check_prunable
from beliefmatch.runs.schema.plan import PrunedLayer

Counted = Literal["macs", "parameters"]
"""What is the same in every call."""
Quantity = Counted | Literal["latency"]
"""latency: seconds of one example, as measured on this machine, so that no two calls need agree."""
NAMES: dict[Quantity, str] = {"macs": "MACs", "parameters": "parameters", "latency": "latency, measured here,"}
"""What messages call them."""
NUM_CONFIRMED = 20
"""Parts of all steps of which one more is taken where a latency was measured too short."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """Some channels of a group that go at once."""

    group: ChannelGroup
    channels: tuple[int, ...]
    removed_fraction: float
    """Part of the group that is gone after it."""


def channels_at_once(size: int) -> int:
    """Return by how many channels a group shrinks, so that what is left is a multiple: kernels like those of 4 or 8."""
    return 8 if size >= 64 else 4 if size >= 16 else 1


def steps_of(groups: Sequence[ChannelGroup]) -> list[Step]:
    """Return all steps in the order in which they are taken: each group loses the same part, its least important first.

    The last step of each group is left out, so that some of its channels always stay.
    """
    steps = [step for group in groups for step in _steps_of(group)]
    return sorted(steps, key=lambda step: step.removed_fraction)


def _steps_of(group: ChannelGroup) -> Iterator[Step]:
    at_once, order, gone = channels_at_once(group.size), group.order, 0
    while gone + at_once < group.size:
        # The first step leaves a multiple.
        size = group.size % at_once if gone == 0 and group.size % at_once else at_once
        yield Step(
            group=group,
            channels=tuple(order[gone : gone + size]),
            removed_fraction=(gone + size) / group.size,
        )
        gone += size


def measure_quantity(network: nn.Module, spec: InputSpec, quantity: Counted) -> int:
    """Count multiply-accumulates for one example, or parameters."""
    if quantity == "macs":
        return count_macs(network, spec)
    return sum(parameter.numel() for parameter in network.parameters())


def thin(
    network: nn.Module,
    spec: InputSpec,
    *,
    quantity: Quantity,
    fraction: float,
    groups: Sequence[ChannelGroup] | None = None,
) -> tuple[PrunedLayer, ...]:
    """Choose the channels that are kept, so that at most a part of a quantity is left, as much as whole steps allow.

    Args:
        network: on the CPU, in eval mode; it stays as it is.
        spec: of its inputs.
        quantity: what is counted.
        fraction: part of it that may be left, above 0, at most 1, where nothing goes.
        groups: of the network, where they were found already. None: they are found.

    Returns:
        The layers that lose channels.

    Raises:
        NetworkError: it is a program, so little cannot be reached, or nothing can be pruned.
        ExtraError: Torch-Pruning is missing.
    """
    check_prunable(network)
    if fraction == 1:
        return ()
    left = _measure_latencies(network, spec) if quantity == "latency" else _count(network, spec, quantity)
    steps = steps_of(find_groups(network, spec) if groups is None else groups)
    least = left(steps)
    if least > fraction:
        raise NetworkError(
            f"at least {least:.3f} of the {NAMES[quantity]} of {type(network).__name__} are left when all that can be "
            f"pruned is pruned, so thin:{quantity}={fraction:g} cannot be reached; {ELSE}"
        )
    number = _first(len(steps), lambda number: left(steps[:number]) <= fraction)
    if quantity == "latency":
        return kept_layers(network, removed_by(_confirm(steps, number, lambda taken: left(taken) <= fraction)))
    return kept_layers(network, removed_by(_give_back(steps[:number], lambda fewer: left(fewer) <= fraction)))


def _confirm(steps: Sequence[Step], number: int, fits: Callable[[Sequence[Step]], bool]) -> Sequence[Step]:
    """Measure again what a search found, and take more steps until it fits: a search prefers what was measured short.

    None is given back, since steps differ by less than measurements do.
    """
    while number < len(steps) and not fits(steps[:number]):
        number += max(1, len(steps) // NUM_CONFIRMED)
    return steps[:number]


def _count(network: nn.Module, spec: InputSpec, quantity: Counted) -> Callable[[Sequence[Step]], float]:
    """Return what tells the part of a quantity that is left after some steps."""
    whole = measure_quantity(network, spec, quantity)
    return lambda taken: measure_quantity(without(network, removed_by(taken)), spec, quantity) / whole


def _measure_latencies(network: nn.Module, spec: InputSpec) -> Callable[[Sequence[Step]], float]:
    """Return what measures the part of the latency that is left after some steps, both networks in turns."""

    def left(taken: Sequence[Step]) -> float:
        smaller = without(network, removed_by(taken))
        pair = (network, smaller)
        before, after = least_of_repeats(lambda number: measure_latency(pair, spec, num_timed=number))
        return after / before

    return left


def _give_back(taken: Sequence[Step], fits: Callable[[Sequence[Step]], bool]) -> Sequence[Step]:
    """Take back the last steps of groups in turn, as far as what is left still fits: one step may be large."""
    blocked: set[str] = set()
    while open_ := {step.group.name: step for step in taken if step.group.name not in blocked}:
        for name, step in reversed(open_.items()):
            fewer = [each for each in taken if each is not step]
            if fits(fewer):
                taken = fewer
            else:
                blocked.add(name)
    return taken


def removed_by(steps: Sequence[Step]) -> Removed:
    """Return what all layers lose by some steps."""
    return removed_with((step.group, step.channels) for step in steps)


def _first(last: int, holds: Callable[[int], bool]) -> int:
    """Return the first number from 0 to the last for which something holds, as it does for the last."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
