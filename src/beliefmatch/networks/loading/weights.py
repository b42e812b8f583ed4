"""Reading weights from files without running what is in them, and fitting them to a network."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from beliefmatch.errors import FolderError, WeightsError, first_line, near_names
from beliefmatch.log_once import log_once
from beliefmatch.networks.loading.state_dict_keys import find_convention
from beliefmatch.networks.loading.suggestions import WEIGHTS, near_paths
from beliefmatch.networks.loading.torch_checkpoint import MAX_NAME, choose_state_dict, read_torch_save, state_keys
from beliefmatch.networks.state_dicts import extra_state_of
from beliefmatch.runs.archives import check_archive
from beliefmatch.runs.reading import open_regular, read_json
from beliefmatch.setting_names import Setting, known_of

logger = logging.getLogger(__name__)

MAX_COMPARED = 5_000
"""Keys among which the nearest to a missing one is looked for."""


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
        _check_is_there(path)
        with open_regular(path) as file:
            is_index = file.read(1) == b"{"
        return _read_shards(path, state_key) if is_index else _read_file(path, state_key)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except FolderError as error:
        raise WeightsError(str(error)) from error


def _check_is_there(path: Path) -> None:
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, expected a file of weights{_files_in(path)}")
    if not path.exists():
        raise WeightsError(f"no weights file at {path}{near_paths(path)}")


def _read_file(path: Path, state_key: str | None) -> dict[str, Tensor]:
    """Read a file that holds weights itself."""
    with open_regular(path) as file:
        head = file.read(9)
        file.seek(0)
        # A safetensors file begins with the length of its JSON header, whose low byte may be that of a pickle.
        is_safetensors = head[8:] == b"{" and head[:1] != b"{"
        is_archive = head.startswith(b"PK\x03\x04")
        if not is_safetensors and (is_archive or head[:1] == b"\x80"):
            if is_archive:
                check_archive(file, path)
            return choose_state_dict(read_torch_save(file, path), path, state_key)
    if not is_safetensors:
        raise WeightsError(f"{path} is neither a safetensors file nor one written by torch.save")
    _refuse_state_key(path, state_key)
    try:
        return load_file(path)
    # Types that torch does not have, and sizes that do not fit, are errors of torch's.
    except Exception as error:
        raise WeightsError(f"{path} is a truncated or damaged safetensors file ({first_line(error)})") from None


def _read_shards(path: Path, state_key: str | None) -> dict[str, Tensor]:
    """Read all files that an index names, such as model.safetensors.index.json; they lie beside it."""
    _refuse_state_key(path, state_key)
    try:
        names = read_json(path)["weight_map"]
        files = sorted(set(names.values()))
        if not all(isinstance(file, str) and Path(file).name == file for file in files):
            raise TypeError
    except (FolderError, KeyError, TypeError, AttributeError):
        raise WeightsError(
            f"{path} is no index of weights: expected weight_map, names of tensors with files in the same folder"
        ) from None
    found: dict[str, Tensor] = {}
    for file in files:
        _check_is_there(path.parent / file)
        found |= _read_file(path.parent / file, None)
    missing = [name for name in names if name not in found]
    if missing:
        raise WeightsError(f"{path} names {len(missing)} tensors that its files lack, such as {_few(missing)}")
    return {name: found[name] for name in names}


def _refuse_state_key(path: Path, state_key: str | None) -> None:
    if state_key is not None:
        raise WeightsError(f"{path} holds a single state dict: leave out {state_keys()}")


def _files_in(folder: Path) -> str:
    """Return what can be named in a folder, after a colon: an index of weights, or files of weights; or nothing."""
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    fitting = [name for name in names if name.endswith(".index.json")]
    fitting += [name for name in names if name.endswith(WEIGHTS)]
    if not fitting:
        return "; it holds none"
    return f"; in it there are {', '.join(fitting[:4])}"


def _can_be_copied(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers that can be copied into a parameter as they are."""
    is_other = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return tensor.layout == torch.strided and not is_other


def _may_convert(tensor: Tensor, expected: Tensor) -> bool:
    """Whether numbers of the type of a tensor mean the same in the type that is expected."""
    if tensor.is_complex() or expected.is_complex():
        return tensor.is_complex() and expected.is_complex()
    return tensor.is_floating_point() or not expected.is_floating_point()


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
        if not isinstance(expected[key], Tensor):
            continue
        if not _can_be_copied(tensor):
            raise WeightsError(
                f"{name} does not fit the network: {key} is sparse, quantised, nested or without values, expected a "
                "plain tensor"
            )
        if not _may_convert(tensor, expected[key]):
            given, wanted = (str(each.dtype).removeprefix("torch.") for each in (tensor, expected[key]))
            raise WeightsError(
                f"{name} does not fit the network: {key} is {given}, the network expects {wanted}; integers without "
                "their scale are no weights, and complex numbers no real ones"
            )
        if tensor.shape != expected[key].shape:
            raise WeightsError(
                f"{name} does not fit the network: {key} has shape {tuple(tensor.shape)}, "
                f"the network expects {tuple(expected[key].shape)} ({_explain_shapes(key, tensor, expected[key])})"
            )
    extra = {
        key: extra_state_of(tensor, name=f"{name}: {key}")
        for key, tensor in state.items()
        if not isinstance(expected[key], Tensor)
    }
    try:
        network.load_state_dict(state | extra, strict=False)
    except Exception as error:
        # Extra state is set by code of the network's own, which can fail in any way.
        raise WeightsError(
            f"{name} does not fit the network: it takes no such extra state ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error


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
        known = known_of(Setting("teacher.strip_prefix"), Setting("student.strip_prefix"))
        way_out = f"choose one with {known}" if known else "save the weights of one to a file of their own"
        raise WeightsError(f"{name} holds weights that fit under several prefixes: {', '.join(fitting)}; {way_out}")
    if not fitting:
        return ""
    left = sum(not key.startswith(fitting[0]) for key in weights)
    others = f"; others are left out: {left}" if left else ""
    log_once(logger, logging.INFO, "keys of %s fit without their prefix %s%s", name, fitting[0], others)
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
        shape = Setting("shape", placeholder=f"{given.shape[1]} ...")
        return f"other channels? The inputs that these weights take begin with {given.shape[1]}: {shape}"
    if given.shape[1:] == expected.shape[1:]:
        return f"another number of classes? {Setting('teacher.num_classes', given.shape[0])}, if they are a teacher's"
    return "another architecture, or number of classes or channels?"


def _explain_keys(missing: list[str], surplus: list[str]) -> str:
    parts = []
    for kind, keys, others in (("missing", missing, surplus), ("not expected", surplus, missing)):
        if keys:
            nearest = near_names(keys[0][:MAX_NAME], others[:MAX_COMPARED], most=1, cutoff=0)
            hint = f" (nearest: {nearest[0][:MAX_NAME]})" if nearest else ""
            parts.append(f"{len(keys)} keys {kind}, such as {_few(keys)}{hint}")
    return "; ".join(parts)


def _few(keys: Iterable[str]) -> str:
    return ", ".join(key[:MAX_NAME] for key in list(keys)[:3])
