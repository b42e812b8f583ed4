"""One pass of a network on noise, with the outputs of its modules."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.dtypes import to_inputs_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.output_forms import hook_of
from beliefmatch.networks.outputs import logits_of, output_hook_of
from beliefmatch.networks.sizes import size_hint
from beliefmatch.networks.unsupported import explain_failure

SIZES = (0.1, 0.1, 1.0, 1.0, 3.0, 10.0, 10.0)
"""Standard deviation of the noise in each example: where one leaves every unit of a network dead or saturated, another
may not. Their number is prime, to distinguish a batch of examples from a batch of windows or of tokens."""
USUAL_BATCHES = (1, 2, 4, 8, 10, 16, 32, 64, 100, 128)
"""Numbers of examples that code may name."""
WRONG_TYPE = re.compile(r"must have the same dtype|expected scalar type (Float|Double|Half|BFloat16) but found")
"""What torch says of operands of several floating types."""
NUM_ORDINARY = 4
"""Number of examples, the first ones, of the size of network inputs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleOutput:
    """The output of a module in a pass."""

    name: str
    module: nn.Module
    output: Tensor
    version: int
    """Of the output when the module returned it: it is higher later, if something changed the output in place."""

    @property
    def size(self) -> torch.Size:
        """Return the size of the position axes, if it is a map."""
        return self.output.shape[2:]

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing has changed the output in place."""
        return _version(self.output) == self.version


@dataclass(kw_only=True, eq=False)
class Recording:
    """The outputs of a network in eval mode and of its modules for a batch."""

    network: nn.Module
    inputs: Tensor
    """(batch, *shape)."""
    output: Any = None
    """What the network returned, after its hooks."""
    forward_output: Any = None
    """What its forward pass returned, before our own hook makes logits of it; of several outputs the chosen one."""
    modules: list[ModuleOutput] = field(default_factory=list)
    """Outputs of modules that are tensors, without the network's, in the order of the pass."""
    batch_norm_inputs: dict[str, Tensor] = field(default_factory=dict)
    """By name of each batch-norm layer with running statistics that the batch passed: its input."""

    @property
    def shared_modules(self) -> set[str]:
        """Return the names of modules that ran more than once: a tap would not know which output is meant."""
        counts = Counter(each.name for each in self.modules)
        return {name for name, count in counts.items() if count > 1}


def noise_for(network: nn.Module, spec: InputSpec, *, num_examples: int) -> Tensor:
    """Draw seeded noise (num_examples, *spec.shape), where a network's parameters are and of their type."""
    noise = torch.randn((num_examples, *spec.shape), generator=torch.Generator().manual_seed(0))
    return to_inputs_of(network, noise)


def record(network: nn.Module, batch: Tensor, *, gradient: bool) -> Recording:
    """Run a network once, in eval mode, and record the outputs of its modules. No hook stays, and nothing changes.

    Args:
        network: maps (batch, *shape) to anything.
        batch: network inputs.
        gradient: whether the outputs have a graph that leads back to the inputs.
    """
    recording = Recording(network=network, inputs=batch.detach().requires_grad_(gradient))
    with evaluating(network), _recorded(network, recording), torch.set_grad_enabled(gradient):
        # A copy, since a network may begin with an operation in place.
        recording.output = network(recording.inputs.clone())
    return recording


def values_of(recording: Recording, *, converted: bool = False) -> Tensor:
    """Return the output of a network's forward pass, or of its hooks if converted, (batch, columns)."""
    name = type(recording.network).__name__
    output = recording.output if converted else recording.forward_output
    return logits_of(output, network=name, batch_size=len(recording.inputs))


def record_noise(network: nn.Module, spec: InputSpec, *, role: str) -> tuple[Recording, Exception | None]:
    """Record a pass with a graph on noise of several sizes; where that fails, one without, on noise of one size.

    A program of a fixed batch size takes any afterwards, if it returns the same for all examples at once.

    Args:
        network: maps (batch, *spec.shape) to something that holds its outputs for each class.
        spec: of its inputs.
        role: what to call it in errors.

    Returns:
        The recording, and why the pass with a graph failed.

    Raises:
        NetworkError: the network fails on inputs of this shape.
    """
    check_hooks(network, role=role)
    noise = noise_for(network, spec, num_examples=len(SIZES))
    sizes = torch.tensor(SIZES).to(noise).view(-1, *(1 for _ in spec.shape))
    failure: Exception | None = None
    try:
        return _record_program(network, sizes * noise), None
    except Exception as error:
        failure = error
    try:
        return record(network, noise, gradient=False), failure
    except NetworkError:
        raise
    except Exception as error:
        # A network of the user's own can fail in any way.
        if size := _only_batch_size(network, spec):
            raise NetworkError(
                f"the {role} takes batches of {size} examples alone: its code names that number, as x.view({size}, -1) "
                "does; let it take any, as x.flatten(1) does"
            ) from error
        if WRONG_TYPE.search(str(error)):
            raise NetworkError(
                f"the {role} computes in several floating types: its code casts to another than float32, as x.double() "
                f"does, and its weights are float32 here ({first_line(error)}); write it in float32 alone"
            ) from error
        if _runs_alone(network, noise):
            raise NetworkError(
                f"the {role} computes something that hooks on its layers keep from running, although it runs without "
                f"them: {first_line(error)}"
            ) from error
        hint = explain_failure(network, error) or size_hint(network, spec, role=role)
        raise NetworkError(
            f"the {role} does not take inputs of shape {spec.shape}: {first_line(error)}{hint}"
        ) from error


def check_hooks(network: nn.Module, *, role: str) -> None:
    """Check that a network consists of modules of Python code, whose outputs hooks can read.

    Raises:
        NetworkError: it is, or holds, a module of torch.jit.
    """
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"holds a module of torch.jit, {name}" if name else "is a module of torch.jit"
            raise NetworkError(f"the {role} {where}, which hooks cannot read: give the network that it was made from")


def _runs_alone(network: nn.Module, noise: Tensor) -> bool:
    """Whether a network takes noise where no hook of ours is on it."""
    with suppress(Exception), evaluating(network), torch.no_grad():
        network(noise.clone())
        return True
    return False


def _only_batch_size(network: nn.Module, spec: InputSpec) -> int | None:
    """Find a number of examples that a network takes although it does not take others; None where none is found."""
    for size in USUAL_BATCHES:
        with suppress(Exception):
            record(network, noise_for(network, spec, num_examples=size), gradient=False)
            return size
    return None


def _record_program(network: nn.Module, batch: Tensor) -> Recording:
    """Record a pass, and remove the fixed batch size of a program that returns the same for all examples at once.

    Many programs name the batch size that they were traced with, and would take others.
    """
    if not isinstance(network, ConvertedProgram) or network.batch_size is None:
        return record(network, batch, gradient=True)
    if network.batch_size == len(batch):
        # Another number than its own is what shows anything.
        batch = batch[:-1]
    in_pieces = record(network, batch, gradient=True)
    size, network.batch_size = network.batch_size, None
    with suppress(Exception):  # A program whose sizes are constants fails in any way.
        at_once = record(network, batch, gradient=True)
        first, second = (values_of(each)[:NUM_ORDINARY] for each in (at_once, in_pieces))
        if torch.allclose(first, second, atol=1e-4, rtol=1e-4):
            return at_once
    network.batch_size = size
    return in_pieces


@contextmanager
def _recorded(network: nn.Module, recording: Recording) -> Iterator[None]:
    """Record the outputs of a network's modules while the block lasts."""

    def keep(name: str, module: nn.Module, _inputs: Any, output: object) -> None:
        # What an operator such as torch.cond compiles may have no such effects.
        if isinstance(output, Tensor) and not torch.compiler.is_compiling():
            version = _version(output)
            recording.modules.append(ModuleOutput(name=name, module=module, output=output, version=version))

    def keep_own(network: nn.Module, inputs: Any, output: object) -> None:
        hook = output_hook_of(network)
        recording.forward_output = hook(network, inputs, output) if hook else output

    def keep_input(name: str, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not torch.compiler.is_compiling():
            recording.batch_norm_inputs[name] = inputs[0]

    with ExitStack() as hooks:
        # Before our own hook makes logits of it, but after those of the user's.
        hooks.callback(network.register_forward_hook(keep_own, prepend=hook_of(network) is not None).remove)
        for name, module in network.named_modules():
            if not name:
                continue
            hooks.callback(module.register_forward_hook(partial(keep, name)).remove)
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                hooks.callback(module.register_forward_pre_hook(partial(keep_input, name)).remove)
        yield


def _version(output: Tensor) -> int:
    """Count changes in place; a tensor of inference mode does not count them."""
    return 0 if output.is_inference() else output._version
