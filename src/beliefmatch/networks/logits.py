"""Logits of every class, where a network returns something that stands for them: probabilities, or one number."""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.functional.upcast import widened
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating

logger = logging.getLogger(__name__)

NUM_PROBES = 16
KEEPING = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Select",
    "Alias",
    "Clone",
    "ToCopy",
    "T",
)
"""Operations that leave every value as it is, as autograd calls them."""
LEAST = 2.0**-24
"""Distance from 1 to the float32 below it: a sigmoid's output is known no nearer to 0 and 1."""


def probe_batch(network: nn.Module, spec: InputSpec, *, num_examples: int = NUM_PROBES) -> Tensor:
    """Make seeded noise (num_examples, *spec.shape), where a network's parameters are and of their type."""
    noise = torch.randn((num_examples, *spec.shape), generator=torch.Generator().manual_seed(0))
    return noise.to(next(iter(network.parameters()), noise))


def settle_logits(network: nn.Module, spec: InputSpec, *, name: str | None) -> int | None:
    """Let a network return logits of every class, by hooks, where it returns what they follow from; and say so.

    Probabilities behind a softmax give their logarithms, those behind a sigmoid their log-odds, and one number for two
    classes, z, gives the logits 0 and z: softmax then is what the sigmoid of z was. What is settled already, and what
    cannot run or be understood, stays as it is.

    Args:
        network: changed in place; names of modules, keys of the state dict and copies stay as they are.
        spec: of its inputs.
        name: what to call it in the log; None: nothing is said, since it was before.

    Returns:
        How many classes it has logits of; None where it cannot run or be understood.
    """
    found, through_sigmoid = _try(network, spec)
    if found is None:
        return None
    if through_sigmoid:
        _say(name, "%s ends in a sigmoid: the log-odds of its outputs are taken as logits")
        network.register_forward_hook(_log_odds)
    elif found.dim() == 2 and _sums_to_one(found) and _gives_probabilities(network, spec):
        _say(name, "%s returns probabilities: their logarithms are taken as its logits")
        network.register_forward_hook(_logarithms)
    if found.dim() == 1 or found.shape[1] == 1:
        if not through_sigmoid and _stays_between_0_and_1(network, spec):
            _say(
                name,
                "whatever %s is given, it answers between 0 and 1, and does not end in a sigmoid: where that is a "
                "probability, let it return the number that it was made of",
            )
        _say(name, "%s has one output: it is taken as the logit of class 1, and 0 as that of class 0")
        network.register_forward_hook(_of_two_classes)
        return 2
    return found.shape[1]


def _say(name: str | None, words: str) -> None:
    if name is not None:
        logger.warning(words, name)


def gives_log_odds(network: nn.Module) -> bool:
    """Tell whether a network's logits are worked out of what a sigmoid gave."""
    return _log_odds in network._forward_hooks.values()


def _try(network: nn.Module, spec: InputSpec) -> tuple[Tensor | None, bool]:
    """Run two examples: what a network returns, if it is a number for each or several, and whether by a sigmoid."""
    batch = probe_batch(network, spec, num_examples=2).requires_grad_()
    try:
        with evaluating(network), torch.enable_grad():
            # A copy, since a network may begin with an operation in place.
            found = network(batch.clone())
    except Exception:
        # Whatever is wrong, `teacher.probe` finds words for it.
        return None, False
    is_number = isinstance(found, Tensor) and found.is_floating_point()
    if not is_number or found.dim() not in (1, 2) or len(found) != 2:
        return None, False
    return found.detach(), _ends_in_sigmoid(found)


def _ends_in_sigmoid(output: Tensor) -> bool:
    operation = output.grad_fn
    while operation is not None:
        name = operation.name().partition("Backward")[0]
        if name == "Sigmoid":
            return True
        # Pieces of a batch are joined, where a program takes so many examples and no others.
        if name not in (*KEEPING, "Cat"):
            return False
        operation = operation.next_functions[0][0]
    return False


def _gives_probabilities(network: nn.Module, spec: InputSpec) -> bool:
    with evaluating(network), torch.no_grad():
        return _sums_to_one(network(probe_batch(network, spec)))


def _stays_between_0_and_1(network: nn.Module, spec: InputSpec) -> bool:
    batch = probe_batch(network, spec)
    with evaluating(network), torch.no_grad():
        found = torch.cat([network(scale * batch) for scale in (1, 1000, -1000)])
    return bool((found >= 0).all() and (found <= 1).all())


def _sums_to_one(found: Tensor) -> bool:
    """Whether all numbers (batch, classes) are at least 0 and those of each example sum to 1, as behind a softmax."""
    return found.shape[1] > 1 and bool((found >= 0).all() and (found.sum(dim=1) - 1).abs().max() < 1e-3)


def _logarithms(_network: nn.Module, _inputs: Any, probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _log_odds(_network: nn.Module, _inputs: Any, probabilities: Tensor) -> Tensor:
    return widened(probabilities).logit(eps=LEAST)


def _of_two_classes(_network: nn.Module, _inputs: Any, logit: Tensor) -> Tensor:
    column = logit.unsqueeze(1) if logit.dim() == 1 else logit
    return torch.cat([torch.zeros_like(column), column], dim=1)
