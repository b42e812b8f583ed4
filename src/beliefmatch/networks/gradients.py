"""Whether gradients reach the inputs of a network, which whatever follows them needs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.taps import beliefs

SIZES = (0.1, 1.0, 3.0, 10.0)
"""Standard deviations of the noise: where one leaves every unit of a network dead or saturated, another may not."""
NUM_OF_EACH = 2
INPUTS_WANTED = "a network without rounding, argmax, detach() or numpy between its inputs and its logits"


def check_gradient(network: nn.Module, spec: InputSpec, *, role: str, needed_by: str) -> None:
    """Check on noise that a gradient of the logits of a network in eval mode reaches its inputs. Nothing moves.

    Args:
        network: maps (batch, *spec.shape) to logits.
        spec: of its inputs.
        role: what to call it in the error.
        needed_by: who follows the gradient, and what to take if it cannot be had: the end of the error.

    Raises:
        NetworkError: none arrives, or only zeros, at any of some inputs; of a program the operator is named that stops
            it.
    """
    why = ""
    try:
        if gradient_arrives(network, spec, lambda inputs: beliefs(network, inputs).logits):
            return
        if isinstance(network, ConvertedProgram) and (operator := network.find_stop(spec)):
            why = f" (none flows through {operator})"
    except Exception as error:
        # What a network does with inputs that want a gradient is its own.
        why = f" ({type(error).__name__}: {first_line(error)})"
    raise NetworkError(f"no gradient reaches the inputs of the {role}{why}, which {needed_by}")


def gradient_arrives(network: nn.Module, spec: InputSpec, score: Callable[[Tensor], Tensor]) -> bool:
    """Tell whether any gradient of what a network in eval mode gives is above 0 at any of some inputs of noise.

    Args:
        network: whose parameters say where and in which type to compute.
        spec: of its inputs.
        score: maps (batch, *spec.shape) through the network to any tensor.
    """
    random = torch.Generator().manual_seed(0)
    noise = torch.randn((len(SIZES), NUM_OF_EACH, *spec.shape), generator=random)
    sizes = torch.tensor(SIZES).view(-1, *(1 for _ in noise.shape[1:]))
    first = next(iter(network.parameters()), noise)
    inputs = (sizes * noise).flatten(0, 1).to(first).requires_grad_()
    with evaluating(network), torch.enable_grad():
        found = score(inputs)
        if not found.requires_grad:
            return False
        # Weighted at random, since a sum over classes is constant where a network ends in a softmax.
        weights = torch.randn(found.shape, generator=random).to(found)
        (gradient,) = torch.autograd.grad((found * weights).sum(), inputs, allow_unused=True)
    return gradient is not None and bool(gradient.any())
