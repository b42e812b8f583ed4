"""Sensitivity of a network to the loss of each group of channels and of each residual block, on pseudo inputs."""

import torch
from torch import Tensor, nn

from beliefmatch.functional.classification import agreement
from beliefmatch.networks.cost import count_macs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.pruning.blocks import find_blocks, without_blocks
from beliefmatch.networks.pruning.channel_groups import find_groups, removed_with, without
from beliefmatch.networks.pruning.prunable import check_prunable
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.runs.schema.sensitivity import BlockSensitivity, GroupSensitivity, Sensitivity

FRACTIONS = (0.25, 0.5, 0.75)
"""Parts of a group that are removed in turn."""
NUM_COMPARED = 256
"""Pseudo inputs on which classes are compared."""


def measure_sensitivity(
    network: nn.Module,
    spec: InputSpec,
    *,
    num_compared: int = NUM_COMPARED,
    with_groups: bool = True,
    with_blocks: bool = True,
) -> Sensitivity:
    """Remove parts of each group of channels, the least important first, and each block, one at a time.

    Args:
        network: on the CPU, in eval mode, gives logits; it stays as it is.
        spec: of its inputs.
        num_compared: pseudo inputs on which classes are compared.
        with_groups: whether groups of channels are tried.
        with_blocks: whether blocks are tried.

    Raises:
        NetworkError: it cannot be traced, or nothing in it can be pruned.
        ExtraError: Torch-Pruning is missing.
    """
    check_prunable(network)
    inputs, whole = draw_pseudo_inputs(spec, num_compared), count_macs(network, spec)
    inputs = inputs.to(next(iter(network.parameters()), inputs))
    logits = _run(network, inputs)
    groups = []
    for group in find_groups(network, spec) if with_groups else ():
        smaller = []
        for fraction in FRACTIONS:
            number = min(max(1, round(fraction * group.size)), group.size - 1)
            smaller.append(without(network, removed_with([(group, group.order[:number])])))
        half = smaller[FRACTIONS.index(0.5)]
        groups.append(
            GroupSensitivity(
                name=group.name,
                channels=group.size,
                macs_fraction=1 - count_macs(half, spec) / whole,
                agreements=tuple(_agree(each, inputs, logits) for each in smaller),
            )
        )
    blocks = []
    for name in find_blocks(network, spec) if with_blocks else ():
        shorter = without_blocks(network, [name])
        lost = 1 - count_macs(shorter, spec) / whole
        blocks.append(BlockSensitivity(name=name, macs_fraction=lost, agreement=_agree(shorter, inputs, logits)))
    return Sensitivity(fractions=FRACTIONS, num_compared=num_compared, groups=tuple(groups), blocks=tuple(blocks))


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    with evaluating(network), torch.no_grad():
        return network(inputs)


def _agree(network: nn.Module, inputs: Tensor, logits: Tensor) -> float:
    return float(agreement(logits, _run(network, inputs)).float().mean())
