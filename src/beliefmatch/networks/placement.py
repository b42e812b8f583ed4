"""Device, type and memory format of networks and their inputs."""

import copy
import logging
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.errors import first_line
from beliefmatch.log_once import log_once
from beliefmatch.networks.dtypes import cast
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.passes import run_network
from beliefmatch.networks.recording import noise_for

logger = logging.getLogger(__name__)

TOLERANCE = 1e-2
"""Of logits in another memory format, in units of the largest or of 1: kernels round otherwise, in 16 bits too."""


def move_to_device(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a network in place, in channels-last memory format, which is faster on CPUs and GPUs alike.

    One that `keep_contiguous` has seen stays in contiguous format.
    """
    cast(network, device, dtype)
    if not keeps_contiguous(network):
        _lay_channels_last(network)


def choose_format(network: nn.Module, spec: InputSpec, *, role: str) -> None:
    """Lay a network out in channels-last memory format, unless it fails there or computes something else.

    Code such as `x.view(len(x), -1)` fails on feature maps whose channels lie last, and `as_strided` reads others. Such
    a network computes in contiguous format from now on, and the log says so. It runs three times on two examples.

    Args:
        network: maps (batch, *spec.shape) to logits; changed in place.
        spec: of its inputs.
        role: what to call it in the log.
    """
    has_images = len(spec.shape) == 3 or any(parameter.dim() == 4 for parameter in network.parameters())
    if keeps_contiguous(network) or not has_images:
        return
    noise = noise_for(network, spec, num_examples=2)
    expected = _logits(network, noise)
    _lay_channels_last(network)
    try:
        found = [_logits(network, inputs) for inputs in (noise, to_channels_last(noise))]
        unit = max(1.0, float(expected.abs().max()))
        if all(bool((each - expected).abs().max() <= TOLERANCE * unit) for each in found):
            return
        why = "it computes something else in it"
    except Exception as error:
        # A network of the user's own can fail in any way.
        why = first_line(error)
    keep_contiguous(network)
    log_once(
        logger,
        logging.INFO,
        "the %s does not serve in channels-last memory format, so it computes in contiguous format, somewhat slower; "
        "reshape() or flatten() in the place of view() would serve in any (%s)",
        role,
        why,
    )


def keep_what_serves(network: nn.Module, spec: InputSpec, *, role: str) -> None:
    """Let a network that channels-last memory format makes fail, or differ, keep contiguous tensors.

    Nothing else of it changes: a copy is tried. See `choose_format`.

    Args:
        network: maps (batch, *spec.shape) to logits.
        spec: of its inputs.
        role: what to call it in the log.
    """
    if keeps_contiguous(network):
        return
    try:
        tried = copy.deepcopy(network)
    except Exception:
        # What cannot be copied is named by the preflight, which copies it too.
        return
    choose_format(tried, spec, role=role)
    if keeps_contiguous(tried):
        keep_contiguous(network)


def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """Compute logits (batch, classes) in eval mode, with the same random numbers each time."""
    devices = [inputs.device] if inputs.is_cuda else []
    with evaluating(network), torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        return logits_of(run_network(network, inputs), network="", batch_size=len(inputs))


def _lay_channels_last(network: nn.Module) -> None:
    """Lay the tensors of a network that have four axes out in channels-last memory format, in place.

    `nn.Module.to` would do the same to those of five, such as kernels of convolutions in three dimensions, and fail.
    """
    network._apply(lambda each: each.to(memory_format=torch.channels_last) if each.dim() == 4 else each)


def is_channels_last(network: nn.Module) -> bool:
    """Whether the weights of convolutions in two dimensions, of which there are some, have their channels last."""
    kernels = [each for each in network.parameters() if each.dim() == 4]
    return bool(kernels) and all(each.is_contiguous(memory_format=torch.channels_last) for each in kernels)


def to_format_of(networks: tuple[nn.Module, ...], inputs: Tensor) -> Tensor:
    """Return inputs in channels-last memory format if all networks have that, and contiguous ones otherwise."""
    suits = all(is_channels_last(network) and not keeps_contiguous(network) for network in networks)
    return to_channels_last(inputs) if suits else inputs.contiguous()


def keep_contiguous(network: nn.Module) -> None:
    """Let a network, in place, compute in contiguous memory format whatever its inputs are in."""
    if not keeps_contiguous(network):
        for parameter in network.parameters():
            # Of a single channel, contiguous() keeps strides that make what follows channels-last.
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        network.register_forward_pre_hook(_make_contiguous)


def keeps_contiguous(network: nn.Module) -> bool:
    """Whether `keep_contiguous` has seen a network, or one that it is a copy of."""
    return _make_contiguous in network._forward_pre_hooks.values()


def is_of_memory_format(error: Exception) -> bool:
    """Whether a network failed because of the memory format of a tensor."""
    return isinstance(error, RuntimeError) and "view size is not compatible" in str(error)


def _make_contiguous(_network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.clone(memory_format=torch.contiguous_format) if isinstance(each, Tensor) else each for each in inputs
    )


def to_channels_last(inputs: Tensor) -> Tensor:
    """Return images in channels-last memory format, and any other batch (batch, *shape) as it is."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
