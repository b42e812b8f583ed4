"""Finding activations of two networks that attention transfer can compare."""

import torch
from torch import Tensor, nn

from beliefmatch.models.inputs import InputSpec
from beliefmatch.models.modes import evaluating
from beliefmatch.models.taps import TapPair, can_be_tapped, declared_pairs


def choose_pairs(teacher: nn.Module, student: nn.Module, spec: InputSpec) -> tuple[TapPair, ...]:
    """Pair the activations that both architectures declare; where they do not, those of equal resolution.

    At each resolution (size of the position axes) that both networks reach, the last feature map of each is taken, in
    the order in which the teacher leaves them. Vectors of features have no resolution, and give no pairs.

    Args:
        teacher: maps (batch, *spec.shape) to logits.
        student: likewise.
        spec: of the inputs of both.
    """
    if declared := declared_pairs(teacher, student):
        return declared
    first, second = (last_feature_maps(network, spec) for network in (teacher, student))
    return tuple(TapPair(teacher=first[size], student=second[size]) for size in first if size in second)


def last_feature_maps(network: nn.Module, spec: InputSpec) -> dict[torch.Size, str]:
    """Find, for each resolution above a single position, the module that gives the last feature map of that size.

    Maps that a later operation changes in place are passed over: what a hook reads would not be what the module gave.

    Returns:
        Names by resolution, in the order in which the network leaves the resolutions behind.
    """
    if not can_be_tapped(network):
        return {}
    given: list[tuple[str, Tensor, int]] = []

    def keep(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 1 + len(spec.shape) and output.shape[2:].numel() > 1:
            given.append((name, output, output._version))

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name, module in network.named_modules()
        if name
    ]
    first = next(iter(network.parameters()), torch.zeros(()))
    try:
        with evaluating(network), torch.no_grad():
            network(torch.zeros((1, *spec.shape), dtype=first.dtype, device=first.device))
    finally:
        for handle in handles:
            handle.remove()
    found: dict[torch.Size, str] = {}
    for name, output, version in given:
        if output._version == version:
            found.pop(output.shape[2:], None)
            found[output.shape[2:]] = name
    return found
