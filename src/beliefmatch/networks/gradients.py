"""Whether gradients reach the inputs of a network."""

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.recording import Recording, record_noise, values_of

INPUTS_WANTED = "a network without rounding, argmax, detach() or numpy between its inputs and its logits"


def has_gradient(values: Tensor, inputs: Tensor) -> bool:
    """Whether any gradient of some values is other than 0 at any input.

    Args:
        values: (batch, ...), computed of the inputs.
        inputs: (batch, *shape), a leaf of the graph. The graph stays.
    """
    if not values.requires_grad:
        return False
    # Weighted at random, since a sum over classes is constant where a network ends in a softmax.
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(1)).to(values)
    (gradient,) = torch.autograd.grad((values * weights).sum(), inputs, allow_unused=True, retain_graph=True)
    return gradient is not None and bool(gradient.nan_to_num(nan=0.0).any())


def why_no_gradient(recording: Recording, values: Tensor, failure: Exception | None, spec: InputSpec) -> str | None:
    """Return why no gradient of a network's outputs reaches its inputs.

    Args:
        recording: of the network on noise, with a graph unless that failed.
        values: (batch, columns), what it returned.
        failure: why a pass with a graph failed; None: it did not.
        spec: of the inputs.

    Returns:
        None where a gradient arrives. Otherwise the reason in brackets, with a space before it, such as the operator of
        a program that stops it; empty where nothing is known.
    """
    if failure is not None:
        return f" ({type(failure).__name__}: {first_line(failure)})"
    try:
        if has_gradient(values, recording.inputs):
            return None
    except Exception as error:
        return f" ({type(error).__name__}: {first_line(error)})"
    if isinstance(recording.network, ConvertedProgram) and (operator := recording.network.find_stop(spec)):
        return f" (none flows through {operator})"
    return ""


def check_gradient(network: nn.Module, spec: InputSpec, *, role: str, needed_by: str) -> None:
    """Check on noise that a gradient of the outputs of a network in eval mode reaches its inputs. Nothing moves.

    Args:
        network: maps (batch, *spec.shape) to something that holds its outputs for each class.
        spec: of its inputs.
        role: what to call it in the error.
        needed_by: what needs the gradient, and the alternative without it: the end of the error.

    Raises:
        NetworkError: none arrives, or only zeros; of a program the operator is named that stops it.
    """
    recording, failure = record_noise(network, spec, role=role)
    raise_no_gradient(why_no_gradient(recording, values_of(recording), failure, spec), role=role, needed_by=needed_by)


def raise_no_gradient(why: str | None, *, role: str, needed_by: str) -> None:
    """Raise the error of a network whose inputs no gradient reaches; None as the reason: one does.

    Raises:
        NetworkError: there is a reason.
    """
    if why is not None:
        raise NetworkError(f"no gradient reaches the inputs of the {role}{why}, which {needed_by}")
