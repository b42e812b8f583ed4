"""What a network costs: parameters, multiply-accumulates, bytes, time."""

import logging
import math
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached, is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.utils._pytree import tree_leaves

from beliefmatch.errors import first_line
from beliefmatch.log_once import log_once
from beliefmatch.networks.dtypes import to_inputs_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.multiply_accumulates import counting_flops
from beliefmatch.networks.passes import run_network
from beliefmatch.networks.quantization.layers import FakeQuantized, quantized_layers
from beliefmatch.networks.state_dicts import stored_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Size of a network and work for one example."""

    parameters: int
    """Of an ONNX model, which does not tell them from constants: numbers in its arrays of floats, but for running
    statistics."""
    macs: int
    """Multiply-accumulates of convolutions and matrix products, attention's among them, for one example of zeros: where
    what a network computes depends on values, as an early exit does, others may take more or fewer. One of complex
    numbers counts once; what computes weights from others, such as parametrisations, does not. 0: not counted."""
    bytes: int
    """Bytes of parameters and of the buffers that a state dict holds, in the types that the network computes in: those
    of a loaded one in 32 bits, whatever types its weights were stored in. Tied weights count once, and weights whose
    few bits are simulated as many as those bits would take."""


def measure_cost(network: nn.Module, spec: InputSpec) -> Cost:
    """Count parameters, multiply-accumulates for one example, and bytes of parameters and buffers."""
    return cost_of(network, count_macs(network, spec))


def cost_of(network: nn.Module, macs: int) -> Cost:
    """Count parameters and bytes of a network whose multiply-accumulates are known; nothing runs."""
    return Cost(
        parameters=count_parameters(network),
        macs=macs,
        bytes=_count_bytes(network) - sum(_bytes_saved(layer) for layer in quantized_layers(network)),
    )


def count_parameters(network: nn.Module) -> int:
    """Count parameters, and weights that torch knows as something else; tied ones count once.

    Steps, which say how far apart the levels of few bits are, are none.
    """
    steps = sum(layer.num_steps for layer in quantized_layers(network))
    found = (*network.parameters(), *_other_weights(network))
    # Of a sparse one those that it holds, which are its last part.
    held = [stored_parts(each)[-1] for each in found]
    return sum(each.numel() for each in _distinct(held)) - steps


def _distinct(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors, of those that are tied one each."""
    return list({(each.data_ptr() or id(each), each.numel(), each.dtype): each for each in tensors}.values())


def _other_weights(network: nn.Module) -> Iterator[Tensor]:
    """Yield what is no parameter to torch: constants of ONNX models, and weights and biases of quantised layers."""
    if isinstance(network, ConvertedProgram):
        yield from network.constants()
    for module in network.modules():
        if type(module).__module__.startswith("torch.ao.nn."):
            methods: list[Any] = [getattr(module, name, None) for name in ("weight", "bias")]
            found = [method() for method in methods if callable(method)]
            yield from (each for each in found if isinstance(each, Tensor))
            yield from _packed_in(module)


def _packed_in(module: nn.Module) -> Iterator[Tensor]:
    """Yield the weights and biases of a recurrent layer or cell in few bits, which a state dict holds as one object."""
    unpackers: list[Any] = [getattr(module, name, None) for name in ("get_weight", "get_bias")]
    if any(unpackers):
        known = {part.data_ptr() for each in module.parameters() for part in stored_parts(each)}
        for unpack in filter(None, unpackers):
            yield from (each for each in unpack().values() if each.data_ptr() not in known)


def _bytes_saved(layer: FakeQuantized) -> int:
    """Return how much smaller a layer would be if its weights took as many bits as they are rounded to."""
    weight = layer.weight
    return weight.numel() * weight.element_size() - math.ceil(weight.numel() * layer.weight_bits / 8)


def _count_bytes(network: nn.Module) -> int:
    """Count the bytes of parameters and buffers that are kept; of tied ones, which share their memory, once."""
    left_out = {each.data_ptr() for each in network.operands()} if isinstance(network, ConvertedProgram) else set()
    # Layers of 8-bit weights keep them in tuples.
    kept = [
        part for each in tree_leaves(network.state_dict()) if isinstance(each, Tensor) for part in stored_parts(each)
    ]
    kept += [each for module in network.modules() for each in _packed_in(module)]
    tensors = [each for each in kept if each.data_ptr() not in left_out]
    shared: dict[int, list[Tensor]] = {}
    for each in _distinct(tensors):
        shared.setdefault(each.untyped_storage().data_ptr() or id(each), []).append(each)
    return sum(
        min(group[0].untyped_storage().nbytes(), sum(each.numel() * each.element_size() for each in group))
        for group in shared.values()
    )


def count_macs(network: nn.Module, spec: InputSpec) -> int:
    """Count multiply-accumulates for one example of zeros, in one pass in eval mode.

    A network that takes no single example gets two. Where counting itself fails, as in operators that torch's modes do
    not reach, the log says so.

    Returns:
        The number; 0 where it could not be counted.
    """
    num_examples = fewest_examples(network)
    try:
        return _count_flops(network, spec, num_examples) // (2 * num_examples)
    except Exception:
        num_examples = num_examples_taken(network, spec)
    try:
        return _count_flops(network, spec, num_examples) // (2 * num_examples)
    except Exception as error:
        # A network of the user's own can fail in any way; if it fails by itself too, the caller says so.
        with evaluating(network), torch.no_grad():
            run_network(network, _zeros(network, spec, num_examples))
        log_once(logger, logging.WARNING, "multiply-accumulates could not be counted: %s", first_line(error))
        return 0


def _count_flops(network: nn.Module, spec: InputSpec, num_examples: int) -> int:
    with evaluating(network), torch.no_grad(), cached(), _without_norm_hooks(network):
        # What computes weights from others, once for any number of examples, is no work for one of them.
        for module in network.modules():
            for name in getattr(module, "parametrizations", ()) if is_parametrized(module) else ():
                getattr(module, name)
        with counting_flops() as count:
            network(_zeros(network, spec, num_examples))
            return count()


@contextmanager
def _without_norm_hooks(network: nn.Module) -> Iterator[None]:
    """Let torch.nn.utils.spectral_norm compute weights once before the block, and not in its passes."""
    kept = {module: module._forward_pre_hooks.copy() for module in network.modules()}
    try:
        for module, hooks in kept.items():
            for key, hook in hooks.items():
                if isinstance(hook, SpectralNorm):
                    hook(module, ())
                    del module._forward_pre_hooks[key]
        yield
    finally:
        for module, hooks in kept.items():
            # In their order.
            module._forward_pre_hooks.clear()
            module._forward_pre_hooks.update(hooks)


def fewest_examples(network: nn.Module) -> int:
    """Return how many examples a network computes at least: those of a program's fixed batch, or else 1.

    A shorter batch would be padded, and its cost be that of the whole one.
    """
    return (network.batch_size or 1) if isinstance(network, ConvertedProgram) else 1


def _zeros(network: nn.Module, spec: InputSpec, num_examples: int) -> Tensor:
    return to_inputs_of(network, torch.zeros(num_examples, *spec.shape))


NUM_TIMED = 15
NUM_WARM_UP = 3


def measure_latency(
    networks: Sequence[nn.Module], spec: InputSpec, *, batch_size: int = 1, num_timed: int = NUM_TIMED
) -> list[float]:
    """Measure the time of one batch through each network in eval mode on its device, interleaved.

    Args:
        networks: to compare.
        spec: of their inputs.
        batch_size: examples at once.
        num_timed: batches that are timed.

    Returns:
        Median seconds of each. A program of a fixed batch size is timed with whole batches of that size: its seconds
        are the share of them that `batch_size` examples have. So is that of a network that fails on a single example.
    """
    with evaluating(*networks), torch.no_grad():
        sizes = [num_examples_taken(network, spec, batch_size=batch_size) for network in networks]
        calls = [_call(network, spec, size) for network, size in zip(networks, sizes, strict=True)]
        seconds = time_interleaved(calls, num_timed=num_timed)
    return [each * batch_size / size for each, size in zip(seconds, sizes, strict=True)]


def num_examples_taken(network: nn.Module, spec: InputSpec, *, batch_size: int = 1) -> int:
    """Return how many examples a network takes: those wanted, whole batches of a program, or two where one fails.

    Args:
        network: to be run.
        spec: of its inputs.
        batch_size: examples that are wanted.
    """
    least = fewest_examples(network)
    size = math.ceil(batch_size / least) * least
    if size > 1:
        return size
    try:
        with evaluating(network), torch.no_grad():
            run_network(network, _zeros(network, spec, 1))
    # A network that squeezes, or standardises over the batch, fails in whatever way its code does.
    except Exception:
        return 2
    return 1


def _call(network: nn.Module, spec: InputSpec, num_examples: int) -> Callable[[], object]:
    examples = _zeros(network, spec, num_examples)

    def run() -> None:
        run_network(network, examples)
        if examples.is_cuda:
            torch.cuda.synchronize(examples.device)

    return run


def time_interleaved(calls: Sequence[Callable[[], object]], *, num_timed: int = NUM_TIMED) -> list[float]:
    """Measure the time of calls in turns, so that other load affects all alike; each call waits for its own work.

    Returns:
        Median seconds of each.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(min(NUM_WARM_UP, num_timed) + num_timed):
        for call, timed in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            timed.append(time.perf_counter() - began)
    return [median(timed[-num_timed:]) for timed in seconds]


NUM_REPEATS = 7
NUM_TIMED_EACH = 5


def least_of_repeats(measure: Callable[[int], Sequence[float]]) -> list[float]:
    """Measure several times and return the least of each: other work can only add to a time.

    A decision that hangs on two times needs it. Where other work takes turns with the calls, the median of one
    measurement can be several times too long for one of them.

    Args:
        measure: gives the seconds of all, each the median of as many repeats as it is given.
    """
    return [min(each) for each in zip(*(measure(NUM_TIMED_EACH) for _ in range(NUM_REPEATS)), strict=True)]


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use since the process began: of tensors on a CUDA device, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        # The figure of getrusage begins with the memory of the parent process.
        return 1024 * int(found[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
