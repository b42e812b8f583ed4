"""Residual blocks that can be left out, and which of them a network needs least."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.pruning.narrowing import apply_plan
from beliefmatch.networks.pruning.prunable import ELSE, check_prunable
from beliefmatch.networks.pruning.thinning import measure_quantity
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.runs.schema.plan import PruningPlan

NUM_COMPARED = 64
"""Pseudo inputs on which outputs are compared."""
NUM_AGAIN = 8
"""Blocks that are tried again after one was dropped: those that mattered least before."""
TOLERANCE = 1e-5
"""Largest difference of a residual block's output from its input when all its parameters are 0."""


def find_blocks(network: nn.Module, spec: InputSpec) -> list[str]:
    """Return the names of residual blocks that give what has the shape of what they get, in the order of the pass.

    A module is one if it gives what it got when all its parameters are 0, as x + f(x) does, and relu(x + f(x)) behind
    another relu. Of blocks within blocks the innermost count.

    Args:
        network: on the CPU; it stays as it is.
        spec: of its inputs.
    """
    passed = _record(network, spec)
    found = [name for name, batch in passed.items() if _is_residual(network.get_submodule(name), batch)]
    return [name for name in found if not any(other.startswith(f"{name}.") for other in found)]


def _record(network: nn.Module, spec: InputSpec) -> dict[str, Tensor]:
    """Return the inputs of modules that ran once, got one tensor, gave one of its shape and hold kernels."""
    got: dict[str, list[Tensor | None]] = {}
    handles = []
    for name, module in network.named_modules():
        holds_kernels = any(parameter.dim() > 1 for parameter in module.parameters())
        if name and holds_kernels and list(module.children()):
            note = _Note(got.setdefault(name, []))
            handles += [module.register_forward_pre_hook(note.before), module.register_forward_hook(note.after)]
    try:
        inputs = draw_pseudo_inputs(spec, 2)
        with evaluating(network), torch.no_grad():
            network(inputs.to(next(iter(network.parameters()), inputs)))
    finally:
        for handle in handles:
            handle.remove()
    return {name: batches[0] for name, batches in got.items() if len(batches) == 1 and batches[0] is not None}


@dataclass(frozen=True)
class _Note:
    """Hooks that note what a module gets, None where its output is of another shape."""

    batches: list[Tensor | None]

    def before(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        # What a block changes in place is copied before.
        fits = len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].dim() > 1
        self.batches.append(inputs[0].detach().clone() if fits else None)

    def after(self, _module: nn.Module, _inputs: tuple[Any, ...], output: object) -> None:
        batch = self.batches[-1]
        if batch is None or not isinstance(output, Tensor) or output.shape != batch.shape:
            self.batches[-1] = None


def _is_residual(block: nn.Module, batch: Tensor) -> bool:
    """Whether a block gives what it gets when all its parameters are 0."""
    silent = copy.deepcopy(block)
    with evaluating(silent), torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        try:
            output = silent(batch.clone())
        except Exception:
            # It is a part of the user's network, which may be called in its own ways.
            return False
    return output.shape == batch.shape and bool((output - batch).abs().max() <= TOLERANCE * batch.abs().max())


def without_blocks(network: nn.Module, names: Sequence[str]) -> nn.Module:
    """Copy a network and drop blocks of the copy."""
    made = copy.deepcopy(network)
    apply_plan(made, PruningPlan(num_outputs=1, dropped=tuple(names), layers=()))
    return made


def drop_blocks(network: nn.Module, spec: InputSpec, *, fraction: float) -> tuple[str, ...]:
    """Choose residual blocks to drop, until at most a part of the multiply-accumulates is left.

    Each time it is the block without which the outputs for pseudo inputs move least, by their KL divergence.

    Args:
        network: on the CPU, in eval mode; it stays as it is.
        spec: of its inputs.
        fraction: part of the multiply-accumulates that may be left, above 0, at most 1, where nothing is dropped.

    Returns:
        Names, in the order in which they were chosen.

    Raises:
        NetworkError: it is a program, there is no such block, or so little cannot be reached.
    """
    check_prunable(network)
    if fraction == 1:
        return ()
    blocks, whole = find_blocks(network, spec), measure_quantity(network, spec, "macs")
    if not blocks:
        raise NetworkError(
            f"nothing in {type(network).__name__} can be dropped: it has no residual block whose input and output "
            f"have one shape; thin:{fraction:g} prunes channels instead, and {ELSE}"
        )
    least = measure_quantity(without_blocks(network, blocks), spec, "macs") / whole
    if least > fraction:
        raise NetworkError(
            f"at least {least:.3f} of the MACs of {type(network).__name__} are left without all {len(blocks)} blocks "
            f"that can be dropped, so shallow:{fraction:g} cannot be reached; thin:{fraction:g} prunes channels instead"
        )
    dropped: list[str] = []
    harm = dict.fromkeys(blocks, 0.0)
    inputs, expected = _expected(network, spec)
    while measure_quantity(without_blocks(network, dropped), spec, "macs") > fraction * whole:
        # The first time all are tried, and afterwards those that mattered least.
        tried = sorted(harm, key=harm.__getitem__)[: NUM_AGAIN if dropped else None]
        harm |= {name: _harm(without_blocks(network, [*dropped, name]), inputs, expected) for name in tried}
        best = min(tried, key=harm.__getitem__)
        dropped.append(best)
        del harm[best]
    return tuple(dropped)


def _expected(network: nn.Module, spec: InputSpec) -> tuple[Tensor, Tensor]:
    inputs = draw_pseudo_inputs(spec, NUM_COMPARED)
    inputs = inputs.to(next(iter(network.parameters()), inputs))
    with evaluating(network), torch.no_grad():
        return inputs, network(inputs)


def _harm(network: nn.Module, inputs: Tensor, expected: Tensor) -> float:
    """Compute the mean KL divergence of a network's outputs from what is expected."""
    with evaluating(network), torch.no_grad():
        return float(kl_divergence(expected, network(inputs)).mean())
