"""State dicts with entries that are no tensors: extra state, and packed parameters of quantised layers."""

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from beliefmatch.errors import NetworkError, WeightsError

EXTRA = "_extra_state"
"""How keys of extra state end, which `nn.Module.get_extra_state` gives."""


def tensors_in(network: nn.Module) -> dict[str, Tensor]:
    """Return the entries of a network's state dict that are plain tensors."""
    return {
        name: value
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor) and not value.is_quantized
    }


def stored_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the dense tensors that a tensor is stored in: of a sparse one its indices, then its values."""
    match tensor.layout:
        case torch.sparse_coo:
            return tensor._indices(), tensor._values()
        case torch.sparse_csr | torch.sparse_bsr:
            return tensor.crow_indices(), tensor.col_indices(), tensor.values()
        case torch.sparse_csc | torch.sparse_bsc:
            return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    return (tensor,)


def bytes_of(value: Any) -> Iterator[bytes]:
    """Yield the bytes of an entry of a state dict, whatever it is."""
    leaves, structure = tree_flatten(value)
    if not isinstance(value, Tensor):
        yield str(structure).encode()
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            yield repr(leaf).encode()
            continue
        tensor = leaf.detach().cpu()
        if tensor.is_quantized:
            yield repr(tensor.qscheme()).encode() + tensor.dequantize().contiguous().numpy().tobytes()
        else:
            yield from (part.contiguous().numpy().tobytes() for part in stored_parts(tensor))


def are_equal(first: Any, second: Any) -> bool:
    """Whether two entries of state dicts are the same."""
    if isinstance(first, Tensor) and isinstance(second, Tensor) and _is_dense(first) and _is_dense(second):
        return first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
    return list(bytes_of(first)) == list(bytes_of(second))


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized


def as_tensors(network: nn.Module, *, role: str) -> dict[str, Tensor]:
    """Return the state of a network as tensors of their own on the CPU; extra state as the bytes of its JSON.

    Args:
        network: whose state is kept.
        role: what to call it in the error.

    Raises:
        NetworkError: an entry is neither a tensor nor extra state of numbers, texts, lists and dictionaries.
    """
    found: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if isinstance(value, Tensor) and _is_dense(value):
            found[name] = value.detach().cpu().contiguous().clone()
            continue
        extra = encode_extra_state(value) if name.endswith(EXTRA) else None
        if isinstance(value, Tensor) and not value.is_quantized and extra is None:
            raise NetworkError(
                f"the {role} holds {name} as a sparse tensor, which no file of weights can hold: register it with "
                "persistent=False if it never changes, or keep it dense"
            )
        if extra is None:
            raise NetworkError(
                f"the state of the {role} has {name}, a {type(value).__name__}, which no file of weights can hold: "
                "expected tensors, or extra state of numbers, texts, lists and dictionaries"
            )
        found[name] = extra
    return found


def encode_extra_state(value: Any) -> Tensor | None:
    """Return the bytes of JSON from which the same value is read again; None where there is none."""
    try:
        text = json.dumps(value, allow_nan=False)
        is_same = bool(json.loads(text) == value)
    except (TypeError, ValueError, RecursionError):
        return None
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if is_same else None


def extra_state_of(tensor: Tensor, *, name: str) -> Any:
    """Return the extra state that `encode_extra_state` wrote.

    Raises:
        WeightsError: the tensor holds something else.
    """
    try:
        return json.loads(bytes(tensor.tolist()).decode())
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{name} holds extra state that is damaged: expected the bytes of its JSON") from error
