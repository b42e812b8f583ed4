"""Finding the logits in the output of a network."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.unsupported import explain_output
from beliefmatch.setting_names import Setting, known_of


def logits_of(output: object, *, network: str, batch_size: int) -> Tensor:
    """Return the logits in what a network returned.

    A tensor of (batch, classes) is taken as it is; of an object its `.logits`; of a mapping the entry "logits", or else
    its only tensor of (batch, classes); of a tuple or list its only one, too. One number for each example, (batch,),
    where nothing else was returned, is one output.

    Args:
        output: what it returned.
        network: what to call it in the error.
        batch_size: examples that it was given.

    Returns:
        (batch, classes).

    Raises:
        NetworkError: there are none, or several that may be they; the message says what there is.
    """
    found = _find(output, batch_size)
    if found is None:
        task = _ask_which(output, batch_size) or explain_output(output)
        raise NetworkError(f"{network} returned {_describe(output)}, expected logits ({batch_size}, classes){task}")
    return found


def _find(output: object, batch_size: int) -> Tensor | None:
    if _is_logits(output, batch_size):
        return output
    if isinstance(output, Tensor) and output.shape == (batch_size,) and output.is_floating_point():
        return output.unsqueeze(1)
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if _is_logits(named, batch_size):
        return named
    if isinstance(output, tuple | list) and len(output) == 1:
        return _find(output[0], batch_size)
    fitting = list(_fitting(output, batch_size).values())
    return fitting[0] if len(fitting) == 1 else None


def _fitting(output: object, batch_size: int) -> dict[str, Tensor]:
    """Return by key or index what may be the logits among several outputs."""
    if isinstance(output, Mapping):
        named = list(output.items())
    else:
        named = list(enumerate(output)) if isinstance(output, tuple | list) else []
    return {str(key): value for key, value in named if _is_logits(value, batch_size)}


def _ask_which(output: object, batch_size: int) -> str:
    """Return how to say which of several outputs are the logits; empty where there is no choice."""
    keys = list(_fitting(output, batch_size))
    if len(keys) < 2:
        return ""
    known = known_of(Setting("teacher.output", keys[-1]), Setting("student.output", keys[-1]))
    return f": say which, {' or '.join(keys)}, such as {known or Setting('output', keys[-1])}"


@dataclass(frozen=True, kw_only=True)
class OutputHook:
    """A forward hook that takes one of the outputs of a network."""

    output: str
    """Its index in a tuple or list, its key in a mapping, or the name of an attribute."""

    def __call__(self, network: nn.Module, _inputs: tuple[Any, ...], output: object) -> object:
        """Return the output; a tensor, as a network may return in one of its modes, as it is."""
        if isinstance(output, Tensor):
            return output
        with suppress(LookupError, ValueError, AttributeError):
            if isinstance(output, Mapping):
                return output[self.output]
            if isinstance(output, tuple | list) and not hasattr(output, self.output):
                return output[int(self.output)]
            return getattr(output, self.output)
        raise NetworkError(
            f"{type(network).__name__} returned {_describe(output)}, which has no output {self.output!r}"
        )


def choose_output(network: nn.Module, output: str | None) -> None:
    """Let a network, in place, return one of its outputs alone; None: what it returns stays as it is.

    Args:
        network: to change.
        output: index, key or name of an attribute of what it returns.
    """
    if output is None:
        return
    if hasattr(network, "output_name"):
        # A program finds its logits itself.
        vars(network)["output_name"] = output
    else:
        network.register_forward_hook(OutputHook(output=output))


def output_hook_of(network: nn.Module) -> OutputHook | None:
    """Return the hook of `choose_output`; None where nothing was chosen."""
    return next((hook for hook in network._forward_hooks.values() if isinstance(hook, OutputHook)), None)


def _is_logits(value: object, batch_size: int) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.dim() == 2 and value.shape[0] == batch_size and value.is_floating_point()


def _describe(output: object) -> str:
    """Return the type of an output, with the shapes or keys of what it holds."""
    if isinstance(output, Tensor):
        kind = "" if output.is_floating_point() else f"{str(output.dtype).removeprefix('torch.')} "
        return f"a {kind}tensor of shape {tuple(output.shape)}"
    if isinstance(output, Mapping):
        inner = ", ".join(f"{key}: {_describe(value)}" for key, value in list(output.items())[:4])
        return f"{type(output).__name__} of {{{inner}}}"
    if isinstance(output, tuple | list):
        return f"{type(output).__name__} of ({', '.join(_describe(value) for value in output[:4])})"
    return type(output).__name__
