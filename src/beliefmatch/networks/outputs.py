"""Finding the logits in the output of a network."""

from collections.abc import Mapping
from typing import TypeGuard

from torch import Tensor

from beliefmatch.errors import NetworkError
from beliefmatch.networks.unsupported import explain_output


def logits_of(output: object, *, network: str, batch_size: int) -> Tensor:
    """Return the logits in what a network returned.

    A tensor of (batch, classes) is taken as it is; of an object its `.logits`; of a mapping the entry "logits", or
    else its only tensor of (batch, classes); of a tuple or list its first tensor of (batch, classes). One number for
    each example, (batch,), where nothing else was returned, is one output.

    Args:
        output: what it returned.
        network: what to call it in the error.
        batch_size: examples that it was given.

    Returns:
        (batch, classes).

    Raises:
        NetworkError: there are none; the message says what there is.
    """
    found = _find(output, batch_size)
    if found is None:
        task = explain_output(output)
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
    if isinstance(output, Mapping):
        fitting = [value for value in output.values() if _is_logits(value, batch_size)]
        return fitting[0] if len(fitting) == 1 else None
    if isinstance(output, tuple | list):
        if len(output) == 1:
            return _find(output[0], batch_size)
        return next((value for value in output if _is_logits(value, batch_size)), None)
    return None


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
