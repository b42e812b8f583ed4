"""Finding activations of two networks that attention transfer can compare."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,  # pyright: ignore[reportPrivateUsage]
    _AdaptiveMaxPoolNd,  # pyright: ignore[reportPrivateUsage]
    _AvgPoolNd,  # pyright: ignore[reportPrivateUsage]
    _MaxPoolNd,  # pyright: ignore[reportPrivateUsage]
)

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.taps import TapPair, can_be_tapped, declared_pairs

GIVES_MAPS = (
    _ConvNd,
    _NormBase,
    nn.GroupNorm,
    nn.Upsample,
    _AvgPoolNd,
    _MaxPoolNd,
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
)
"""Layers whose outputs are (batch, channels, *positions). What others give may have as many axes and other meanings:
tokens by heads, or channels last."""
NUM_EXAMPLES = 2
"""More than one, by which a batch of anything else, such as of windows, is told from one of examples."""


def choose_pairs(teacher: nn.Module, student: nn.Module, spec: InputSpec) -> tuple[TapPair, ...]:
    """Pair the activations that both architectures declare; where they do not, those of equal resolution.

    At each resolution (size of the position axes) that both networks reach, the last feature map of each is taken, in
    the order in which the teacher leaves them. Vectors of features and tokens have no resolution, and give no pairs.

    Args:
        teacher: maps (batch, *spec.shape) to logits.
        student: likewise.
        spec: of the inputs of both.
    """
    if declared := declared_pairs(teacher, student):
        return declared
    first, second = (last_feature_maps(network, spec) for network in (teacher, student))
    return tuple(TapPair(teacher=first[size], student=second[size]) for size in first if size in second)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Given:
    """What a module gave, in the order of the pass."""

    name: str
    module: nn.Module
    output: Tensor
    version: int

    @property
    def size(self) -> torch.Size:
        """Size of the position axes, if it is a map."""
        return self.output.shape[2:]


def last_feature_maps(network: nn.Module, spec: InputSpec) -> dict[torch.Size, str]:
    """Find, for each resolution above a single position, the module that gives the last feature map of that size.

    Resolutions are those at which a convolution, a pooling or a normalisation of channels gives something. Maps that a
    later operation changes in place are passed over: what a hook reads would not be what the module gave. So is a map
    that the network reads as tokens next, as a vision transformer does with that of its patches: it is the embedding of
    the inputs, and what the network finds in them comes later.

    Returns:
        Names by resolution, in the order in which the network leaves the resolutions behind.
    """
    if not can_be_tapped(network):
        return {}
    given = _run(network, spec)
    num_axes = 1 + len(spec.shape)
    maps = [each for each in given if each.output.dim() == num_axes and each.size.numel() > 1]
    sizes = {each.size for each in maps if isinstance(each.module, GIVES_MAPS)}
    found: dict[torch.Size, _Given] = {}
    for each in maps:
        if each.size in sizes and each.output._version == each.version:
            found.pop(each.size, None)
            found[each.size] = each
    return {size: last.name for size, last in found.items() if not _become_tokens(last, given, sizes)}


def _run(network: nn.Module, spec: InputSpec) -> list[_Given]:
    """Run a network on zeros, and list what has more than features, for each example."""
    given: list[_Given] = []

    def keep(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() > 2 and len(output) == NUM_EXAMPLES:
            given.append(_Given(name=name, module=module, output=output, version=output._version))

    handles = [
        module.register_forward_hook(lambda module, _inputs, output, name=name: keep(name, module, output))
        for name, module in network.named_modules()
        if name
    ]
    first = next(iter(network.parameters()), torch.zeros(()))
    try:
        with evaluating(network), torch.no_grad():
            network(torch.zeros((NUM_EXAMPLES, *spec.shape), dtype=first.dtype, device=first.device))
    finally:
        for handle in handles:
            handle.remove()
    return given


def _become_tokens(last: _Given, given: list[_Given], sizes: set[torch.Size]) -> bool:
    """Tell whether what follows the last map of a resolution are its positions, as tokens with their channels last."""
    num_channels, num_positions = last.output.shape[1], last.size.numel()
    for each in given[given.index(last) + 1 :]:
        may_be_map = each.output.dim() == last.output.dim()
        has_channels_first = not may_be_map and each.output.shape[1] == num_channels != num_positions
        if (may_be_map and each.size == last.size) or has_channels_first:
            continue
        if may_be_map and (each.size in sizes or each.size.numel() == 1):
            return False
        _, *positions, _channels = each.output.shape
        # One more or two than there are positions, with a token for the class.
        return positions == list(last.size) or (len(positions) == 1 and positions[0] >= num_positions)
    return False
