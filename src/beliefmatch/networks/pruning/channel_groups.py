"""Groups of channels that can only be removed together, found by Torch-Pruning's dependency graph.

Fang et al. 2023, "DepGraph: Towards Any Structural Pruning" (CVPR). The graph is read and nothing else: channels are
removed by `narrowing`, and each group is tried by itself first, since a graph of operations does not show all that a
network does with its channels.
"""

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.packages import require
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.pruning.narrowing import CONVOLUTIONS, layer_sizes, narrow
from beliefmatch.networks.pruning.prunable import ELSE, check_prunable
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.runs.schema.plan import PrunedLayer

NUM_TRIED = 4
"""Pseudo inputs on which a group is tried."""
TOLERANCE = 1e-3
"""Largest difference of two outputs that are equal but for rounding, as part of the largest output."""

Removed = Mapping[tuple[str, bool], Sequence[int]]
"""By name of a layer, and whether its outputs are meant rather than its inputs: channels that go."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One side of a layer that loses channels with a group."""

    layer: str
    is_output: bool
    """Whether its outputs lose them, rather than its inputs."""
    positions: tuple[tuple[int, ...], ...]
    """For each channel of the group the positions here: several behind a flattening."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelGroup:
    """Channels of one or several layers that only go together."""

    name: str
    """The layer of whose outputs they are."""
    importance: Tensor
    """(channels,), mean square norm of what each takes along, over the mean of all."""
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Number of channels."""
        return len(self.importance)

    @property
    def order(self) -> list[int]:
        """Return the channels, the least important first."""
        return torch.argsort(self.importance, stable=True).tolist()


def removed_with(channels: Iterable[tuple[ChannelGroup, Sequence[int]]]) -> dict[tuple[str, bool], list[int]]:
    """Return what all layers lose with channels of some groups."""
    found: dict[tuple[str, bool], set[int]] = {}
    for group, lost in channels:
        for member in group.members:
            positions = found.setdefault((member.layer, member.is_output), set())
            positions.update(position for channel in lost for position in member.positions[channel])
    return {side: sorted(positions) for side, positions in found.items() if positions}


def kept_layers(network: nn.Module, removed: Removed) -> tuple[PrunedLayer, ...]:
    """Return the layers that lose channels, each with those that it keeps, in the network's order.

    Raises:
        NetworkError: nothing would be left of one.
    """
    found = []
    for name, layer in network.named_modules():
        if (name, True) not in removed and (name, False) not in removed:
            continue
        sizes = layer_sizes(layer)
        assert sizes is not None, name
        kept = [
            _complement(removed[name, is_output], size or 0) if (name, is_output) in removed else None
            for is_output, size in ((True, sizes.outputs), (False, sizes.inputs))
        ]
        if () in kept:
            raise NetworkError(f"nothing would be left of {name}")
        found.append(
            PrunedLayer(
                name=name,
                outputs=kept[0],
                inputs=kept[1],
                num_outputs=sizes.outputs,
                num_inputs=sizes.inputs,
            )
        )
    return tuple(found)


def _complement(positions: Sequence[int], size: int) -> tuple[int, ...]:
    gone = set(positions)
    return tuple(position for position in range(size) if position not in gone)


def without(network: nn.Module, removed: Removed) -> nn.Module:
    """Copy a network and narrow the copy."""
    made = copy.deepcopy(network)
    for layer in kept_layers(made, removed):
        narrow(made.get_submodule(layer.name), layer.outputs, layer.inputs)
    return made


def find_groups(network: nn.Module, spec: InputSpec) -> list[ChannelGroup]:
    """Return the groups of channels that can be removed; inputs and outputs of the network are in none.

    A group counts only where the network without half of it computes what the network computes when no layer reads
    these channels. So a group that the graph did not understand is left whole.

    Args:
        network: on the CPU, in eval mode; it stays as it is.
        spec: of its inputs.

    Raises:
        NetworkError: the network cannot be traced, or no group is left.
        ExtraError: Torch-Pruning is missing.
    """
    found, problem = _trace(network, spec), ""
    inputs, groups = draw_pseudo_inputs(spec, NUM_TRIED), []
    inputs = inputs.to(next(iter(network.parameters()), inputs))
    with evaluating(network), torch.no_grad():
        num_outputs = network(inputs).shape[1]
    for group in found:
        if why := _why_not(network, group, inputs, num_outputs):
            problem = problem or f", such as {group.name}, where {why}"
        else:
            groups.append(group)
    if not groups:
        raise NetworkError(
            f"nothing in {type(network).__name__} can be pruned: {len(found)} groups of channels were found{problem}; "
            f"{ELSE}"
        )
    return groups


def _why_not(network: nn.Module, group: ChannelGroup, inputs: Tensor, num_outputs: int) -> str | None:
    """Return why a group cannot go, or None where it can."""
    if group.size < 2:
        return "there is a single channel"
    removed = removed_with([(group, group.order[: group.size // 2])])
    try:
        narrowed, silent = without(network, removed), _silenced(network, removed)
        with evaluating(narrowed, silent), torch.no_grad():
            given = narrowed(inputs)
            if given.shape[1] != num_outputs:
                return "the network's outputs change their number"
            expected = silent(inputs)
    except Exception as error:
        # It is the user's network.
        return f"the network fails without half of them ({first_line(error)})"
    mixes = any(isinstance(network.get_submodule(each.layer), nn.LayerNorm) for each in group.members)
    largest = (expected - given).abs().max()
    if not mixes and bool(largest > TOLERANCE * expected.abs().max()):
        return "the network computes something else without half of them than when it ignores them"
    return None


def _silenced(network: nn.Module, removed: Removed) -> nn.Module:
    """Copy a network and let no layer read the inputs that are to go."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        for (name, is_output), positions in removed.items():
            if not is_output:
                weight: Any = made.get_submodule(name).weight
                weight[:, positions] = 0
    return made


def _trace(network: nn.Module, spec: InputSpec) -> list[ChannelGroup]:
    """Return the groups of Torch-Pruning's graph that hold nothing but layers of ours to narrow."""
    torch_pruning = require("torch_pruning", install="beliefmatch[prune]")
    check_prunable(network)
    traced = copy.deepcopy(network).requires_grad_(requires_grad=True)
    inputs = draw_pseudo_inputs(spec, 2)
    inputs = inputs.to(next(iter(traced.parameters()), inputs))
    measure = torch_pruning.importance.GroupMagnitudeImportance(p=2, group_reduction="mean", normalizer="mean")
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            # Defaults of these arguments are shared by all calls, so none are used.
            graph = torch_pruning.DependencyGraph().build_dependency(
                traced,
                (inputs,),
                forward_fn=_run,
                unwrapped_parameters=[],
                customized_pruners={},
                ignored_layers=[],
                ignored_params=[],
                verbose=False,
            )
            names = {module: name for name, module in traced.named_modules()}
            groups = list(graph.get_all_groups(ignored_layers=[], root_module_types=(*CONVOLUTIONS, nn.Linear)))
            made = [_read_group(group, graph, names, torch_pruning.ops.OPTYPE, measure) for group in groups]
    except Exception as error:
        raise NetworkError(
            f"Torch-Pruning cannot trace {type(network).__name__} ({type(error).__name__}: {first_line(error)}), as "
            f"where channels follow control flow or a fused operation: {ELSE}"
        ) from error
    return [group for group in reversed(made) if group is not None]


def _run(network: nn.Module, batch: tuple[Tensor]) -> Tensor:
    output = network(*batch)
    if not output.requires_grad:
        raise RuntimeError("its outputs have no gradient, which operations are traced by")
    return output


def _read_group(group: Any, graph: Any, names: Mapping[Any, str], kinds: Any, measure: Any) -> ChannelGroup | None:
    """Return a group of the graph; None: it reaches the outputs, or holds what cannot be narrowed."""
    size, members = len(group[0].idxs), []
    operations = (kinds.ELEMENTWISE, kinds.CONCAT, kinds.SPLIT, kinds.RESHAPE, kinds.UNBIND, kinds.EXPAND, kinds.SLICE)
    for item in group:
        module, kind = item.dep.target.module, item.dep.target.type
        is_one_slope = isinstance(module, nn.PReLU) and module.num_parameters == 1
        if is_one_slope or (kind in operations and not any(True for _ in _own_state(module))):
            continue
        sizes = layer_sizes(module) if isinstance(module, nn.Module) and module in names else None
        if sizes is None:
            return None
        is_output = sizes.inputs is None or graph.is_out_channel_pruning_fn(item.dep.handler)
        width = sizes.outputs if is_output else sizes.inputs or 0
        if not all(0 <= position < width for position in item.idxs):
            # The graph takes a padding of channels for an operation on each.
            return None
        positions: list[list[int]] = [[] for _ in range(size)]
        for position, channel in zip(item.idxs, item.root_idxs, strict=True):
            positions[channel].append(position)
        members.append(
            Member(layer=names[module], is_output=is_output, positions=tuple(tuple(each) for each in positions))
        )
    scores = measure(group)
    if scores is None or len(scores) != size:
        return None
    name = names[group[0].dep.target.module]
    return ChannelGroup(name=name, importance=scores.detach(), members=tuple(members))


def _own_state(module: Any) -> Iterable[object]:
    """Yield the parameters of a module; of a parameter, itself."""
    return module.parameters() if isinstance(module, nn.Module) else [module]
