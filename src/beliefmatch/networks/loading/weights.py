"""Reading weights from files without running what is in them, and fitting them to a network."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from beliefmatch.errors import WeightsError, near_names
from beliefmatch.networks.loading.state_dict_keys import find_convention
from beliefmatch.networks.loading.suggestions import WEIGHTS, near_paths
from beliefmatch.networks.loading.torch_checkpoint import STATE_KEY_FLAGS, choose_state_dict, read_torch_save

logger = logging.getLogger(__name__)


def read_weights(path: Path, *, state_key: str | None = None) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file, the index of several, or a file written by `torch.save`.

    The kind is recognised by content, not by name. Nothing is unpickled but tensors, containers and plain values.

    Args:
        path: of the file.
        state_key: which of several state dicts in it, such as ema; None: the only one.

    Raises:
        WeightsError: the file is missing, truncated, not a weights file, a pickle that wants to run code, or one of
            several state dicts of which none is chosen.
    """
    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder, expected a file of weights{_files_in(path)}")
        if not path.is_file():
            raise WeightsError(f"no weights file at {path}{near_paths(path)}")
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    # A safetensors file begins with the length of its JSON header, whose low byte may be that of a pickle.
    is_safetensors = head[8:] == b"{" and head[:1] != b"{"
    if not is_safetensors and (head.startswith(b"PK\x03\x04") or head[:1] == b"\x80"):
        return choose_state_dict(read_torch_save(path), path, state_key)
    if state_key is not None:
        raise WeightsError(f"{path} holds a single state dict: leave out {STATE_KEY_FLAGS}")
    if is_safetensors:
        return _read_safetensors(path)
    if head[:1] == b"{":
        return _read_shards(path)
    raise WeightsError(f"{path} is neither a safetensors file nor one written by torch.save")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is a truncated or damaged safetensors file ({error})") from None


def _read_shards(path: Path) -> dict[str, Tensor]:
    """Read all files that an index names, such as model.safetensors.index.json; they lie beside it."""
    try:
        names = json.loads(path.read_text())["weight_map"]
        files = sorted(set(names.values()))
        if not all(isinstance(file, str) and Path(file).name == file for file in files):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(
            f"{path} is no index of weights: expected weight_map, names of tensors with files in the same folder"
        ) from None
    found: dict[str, Tensor] = {}
    for file in files:
        found |= read_weights(path.parent / file)
    missing = [name for name in names if name not in found]
    if missing:
        raise WeightsError(f"{path} names {len(missing)} tensors that its files lack, such as {_few(missing)}")
    return {name: found[name] for name in names}


def _files_in(folder: Path) -> str:
    """Return what can be named in a folder, after a colon: an index of weights, or files of weights; or nothing."""
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    fitting = [name for name in names if name.endswith(".index.json")]
    fitting += [name for name in names if name.endswith(WEIGHTS)]
    if not fitting:
        return "; it holds none"
    return f"; in it there are {', '.join(fitting[:4])}"


def fit_weights(
    network: nn.Module, weights: Mapping[str, Tensor], *, name: str, strip_prefix: str | None = None
) -> None:
    """Load weights into a network in place, under our key names or any known convention of others.

    Counters of batches that batch-norm has seen may be missing. Numbers of other floating types are converted.

    Args:
        network: changed in place.
        weights: names to tensors.
        name: what to call the weights in errors, such as their path.
        strip_prefix: what the keys begin with there and not here, such as `module.`; keys without it are left out.
            None: detected, where keys fit without it alone, and logged.

    Raises:
        WeightsError: keys are missing or left over (with the nearest), or a shape differs.
    """
    state = _choose_keys(network, weights, name=name, strip_prefix=strip_prefix)
    expected = network.state_dict()
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise WeightsError(
                f"{name} does not fit the network: {key} has shape {tuple(tensor.shape)}, "
                f"the network expects {tuple(expected[key].shape)} ({_explain_shapes(key, tensor, expected[key])})"
            )
        if tensor.is_complex() or tensor.layout != torch.strided:
            raise WeightsError(f"{name} does not fit the network: {key} is complex or sparse, expected a plain tensor")
    network.load_state_dict(state, strict=False)


def _choose_keys(
    network: nn.Module, weights: Mapping[str, Tensor], *, name: str, strip_prefix: str | None
) -> dict[str, Tensor]:
    """Return the weights under the network's keys, without a prefix of their own."""
    prefix = _find_prefix(network, weights, name) if strip_prefix is None else strip_prefix
    prefix += "." if prefix and not prefix.endswith(".") else ""
    state = _rename(network, weights, prefix)
    if not state:
        raise WeightsError(f"{name} has no key that begins with {prefix}; it has such as {_few(weights)}")
    missing, surplus = _unfitting(network, state)
    if missing or surplus:
        raise WeightsError(f"{name} does not fit the network: {_explain_keys(missing, surplus)}")
    return state


def _find_prefix(network: nn.Module, weights: Mapping[str, Tensor], name: str) -> str:
    """Return what keys begin with that the network's do not; empty where they fit as they are, or not at all."""
    if not any(_unfitting(network, _rename(network, weights, ""))):
        return ""
    fitting = [
        prefix
        for prefix in _prefixes(network, weights)
        if not any(_unfitting(network, _rename(network, weights, prefix)))
    ]
    if len(fitting) > 1:
        raise WeightsError(
            f"{name} holds weights that fit under several prefixes: {', '.join(fitting)}; choose one with "
            "--teacher.strip-prefix or --student.strip-prefix"
        )
    if not fitting:
        return ""
    left = sum(not key.startswith(fitting[0]) for key in weights)
    others = f"; others are left out: {left}" if left else ""
    logger.info("keys of %s fit without their prefix %s%s", name, fitting[0], others)
    return fitting[0]


def _rename(network: nn.Module, weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights whose keys begin with a prefix, under our names."""
    stripped = {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
    convention = find_convention(network, list(stripped))
    return {convention.rename(key) if convention else key: tensor for key, tensor in stripped.items()}


def _unfitting(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Return keys that the network has and the weights lack, and the other way round."""
    expected = network.state_dict()
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    return missing, [key for key in state if key not in expected]


def _prefixes(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Return all that keys begin with, up to a dot, if as many keys do as the network has parameters."""
    beginnings = Counter(key[: dot.end()] for key in weights for dot in re.finditer(r"\.", key))
    needed = len(list(network.parameters()))
    return [beginning for beginning, count in beginnings.items() if count >= needed]


def _explain_shapes(key: str, given: Tensor, expected: Tensor) -> str:
    """Return a guess at the setting in which the two networks differ."""
    if "pos" in key.lower() and given.dim() == expected.dim() == 3:
        return (
            "images of another size? After the name, ?img_size=SIZE (timm) or ?image_size=SIZE (torchvision, hf) says "
            "which"
        )
    if given.dim() == expected.dim() >= 3 and given.shape[:1] == expected.shape[:1]:
        channels = given.shape[1]
        return f"other channels? The inputs that these weights take begin with {channels}: --shape {channels} ..."
    if given.shape[1:] == expected.shape[1:]:
        return f"another number of classes? --teacher.num-classes {given.shape[0]}, if they are a teacher's"
    return "another architecture, or number of classes or channels?"


def _explain_keys(missing: list[str], surplus: list[str]) -> str:
    parts = []
    for kind, keys, others in (("missing", missing, surplus), ("not expected", surplus, missing)):
        if keys:
            nearest = near_names(keys[0], others, most=1, cutoff=0)
            hint = f" (nearest: {nearest[0]})" if nearest else ""
            parts.append(f"{len(keys)} keys {kind}, such as {_few(keys)}{hint}")
    return "; ".join(parts)


def _few(keys: Iterable[str]) -> str:
    return ", ".join(list(keys)[:3])
