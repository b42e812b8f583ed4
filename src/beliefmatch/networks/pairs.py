"""Finding activations of two networks that attention transfer can compare."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,  # pyright: ignore[reportPrivateUsage]
    _AdaptiveMaxPoolNd,  # pyright: ignore[reportPrivateUsage]
    _AvgPoolNd,  # pyright: ignore[reportPrivateUsage]
    _MaxPoolNd,  # pyright: ignore[reportPrivateUsage]
)

from beliefmatch.networks.recording import ModuleOutput, Recording
from beliefmatch.networks.taps import TapPair, declared_pairs

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
"""Layers whose outputs are (batch, channels, *positions). Outputs of others may have as many axes of another meaning:
tokens by heads, or channels last."""
FeatureMaps = Mapping[tuple[int, ...], str]
"""By resolution (size of the position axes) the module whose output is the last feature map of that size, in the order
of these modules in the pass."""


def choose_pairs(
    teacher: nn.Module, student: nn.Module, *, teacher_maps: FeatureMaps, student_maps: FeatureMaps
) -> tuple[TapPair, ...]:
    """Pair the activations that both architectures declare; where they do not, those of equal resolution.

    At each resolution that both networks reach, the output of the last group of each is taken, in the order in which
    the teacher leaves them. Vectors of features and tokens have no resolution, and give no pairs.

    Args:
        teacher: may declare its taps.
        student: likewise.
        teacher_maps: see `last_feature_maps`.
        student_maps: likewise.
    """
    if declared := declared_pairs(teacher, student):
        return declared
    return tuple(
        TapPair(teacher=teacher_maps[size], student=student_maps[size]) for size in teacher_maps if size in student_maps
    )


def last_feature_maps(recording: Recording) -> FeatureMaps:
    """Find, for each resolution above a single position, the group whose output is the last feature map of that size.

    As published attention transfer compares the outputs of groups, it is the last map before the next group changes
    the resolution: of a ResNet `layer1`, and not the activation within `layer2` before its stride. A module counts as
    one unless resolutions lie within it that nothing outside has: such a container is looked into.

    Resolutions are those of the outputs of convolutions, poolings and normalisations of channels. Maps that a later
    operation changes in place are left out: a hook would not read the module's own output. So is a map that becomes
    tokens next, as that of the patches in a vision transformer does: it is only an embedding of the inputs.

    Args:
        recording: of a batch of several examples, to distinguish a batch of examples from one of windows.
    """
    num_examples, num_axes = len(recording.inputs), recording.inputs.dim()
    shared = recording.shared_modules
    given = [each for each in recording.modules if each.output.dim() > 2 and len(each.output) == num_examples]
    maps = [each for each in given if each.output.dim() == num_axes and each.size.numel() > 1]
    sizes = {each.size for each in maps if isinstance(each.module, GIVES_MAPS)}
    shapes = {each.output.shape[1:] for each in maps if isinstance(each.module, GIVES_MAPS)}
    usable = [
        each
        for each in maps
        if each.size in sizes
        and each.is_unchanged
        and each.name not in shared
        # What is no group and no such layer, such as an activation, follows one; a matrix of attention does not.
        and (any(each.module.children()) or each.output.shape[1:] in shapes)
    ]
    found: dict[torch.Size, ModuleOutput] = {}
    for each in _groups(usable, frozenset()):
        found.pop(each.size, None)
        found[each.size] = each
    return {tuple(size): last.name for size, last in found.items() if not _become_tokens(last, given, sizes)}


def _groups(maps: list[ModuleOutput], known: frozenset[torch.Size]) -> list[ModuleOutput]:
    """Return the outermost modules, in the order of the pass, and what lies within those that hold further sizes."""
    names = {each.name for each in maps}
    outermost = [each for each in maps if not any(above in names for above in _above(each.name))]
    known |= {each.size for each in outermost}
    groups: list[ModuleOutput] = []
    for each in outermost:
        within = [inner for inner in maps if inner.name.startswith(f"{each.name}.")]
        if any(inner.size not in known for inner in within):
            groups += _groups(within, known)
        groups.append(each)
    return groups


def _above(name: str) -> list[str]:
    """Return the names of the modules that hold a module."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _become_tokens(last: ModuleOutput, given: list[ModuleOutput], sizes: set[torch.Size]) -> bool:
    """Whether what follows the last map of a resolution are its positions, as tokens with their channels last."""
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
