"""Reading weights from files without running what is in them, and fitting them to a network."""

import difflib
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from beliefmatch.errors import WeightsError
from beliefmatch.models.key_maps import find_convention

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
"""Keys under which training scripts put the state dict of the network."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file or from a file written by `torch.save`.

    The kind is recognised by content, not by name. Nothing is unpickled but tensors and plain containers.

    Raises:
        WeightsError: the file is missing, truncated, not a weights file, or a pickle that wants to run code.
    """
    try:
        if not path.is_file():
            raise WeightsError(f"no weights file at {path}")
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    # A safetensors file begins with the length of its JSON header, whose low byte may be that of a pickle.
    if head[8:] == b"{":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is a truncated or damaged safetensors file ({error})") from None
    if head.startswith(b"PK\x03\x04") or head[:1] == b"\x80":
        return _state_dict_in(_read_torch_save(path), path)
    raise WeightsError(f"{path} is neither a safetensors file nor one written by torch.save")


def _read_torch_save(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = wanted[1] if wanted else "something other than tensors"
        raise WeightsError(
            f"{path} is refused: it wants to load {what}, which may run code. Save only the weights: "
            "torch.save(model.state_dict(), file)"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError):
        raise WeightsError(f"{path} is truncated or damaged, or was not written by torch.save") from None


def _state_dict_in(loaded: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(loaded.get(wrapper), Mapping):
                return _state_dict_in(loaded[wrapper], path)
        if loaded and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()):
            return dict(loaded)
        found = ", ".join(map(str, list(loaded)[:8])) or "nothing"
        raise WeightsError(f"{path} holds no state dict: expected names with tensors, found {found}")
    raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state dict")


def fit_weights(network: nn.Module, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Load weights into a network in place, under our key names or any known convention of others.

    A leading `module.` (left by data-parallel training) is dropped; counters of batches that batch-norm has seen may
    be missing.

    Args:
        network: receives the weights.
        weights: names to tensors.
        name: what to call the weights in errors, such as their path.

    Raises:
        WeightsError: keys are missing or left over (with the nearest), or a shape differs.
    """
    keys = [key.removeprefix("module.") for key in weights]
    convention = find_convention(network, keys)
    renamed = [convention.rename(key) if convention else key for key in keys]
    state = dict(zip(renamed, weights.values(), strict=True))
    expected = network.state_dict()
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    surplus = [key for key in state if key not in expected]
    if missing or surplus:
        raise WeightsError(f"{name} does not fit the network: {_explain_keys(missing, surplus)}")
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise WeightsError(
                f"{name} does not fit the network: {key} has shape {tuple(tensor.shape)}, "
                f"the network expects {tuple(expected[key].shape)} (another architecture, or number of classes or "
                "channels?)"
            )
        if tensor.is_complex() or tensor.layout != torch.strided:
            raise WeightsError(f"{name} does not fit the network: {key} is complex or sparse, expected a plain tensor")
    network.load_state_dict(state, strict=False)


def _explain_keys(missing: list[str], surplus: list[str]) -> str:
    parts = []
    for kind, keys, others in (("missing", missing, surplus), ("not expected", surplus, missing)):
        if keys:
            nearest = difflib.get_close_matches(keys[0], others, n=1, cutoff=0)
            hint = f" (nearest: {nearest[0]})" if nearest else ""
            parts.append(f"{len(keys)} keys {kind}, such as {_few(keys)}{hint}")
    return "; ".join(parts)


def _few(keys: Iterable[str]) -> str:
    return ", ".join(list(keys)[:3])
