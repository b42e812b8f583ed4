"""Checkpoints written by `torch.save`: what may be in them, and which of their state dicts is meant."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

import torch
from torch import Tensor

from beliefmatch.errors import FolderError, WeightsError, the_nearest
from beliefmatch.networks.state_dicts import EXTRA, encode_extra_state
from beliefmatch.runs.archives import BROKEN
from beliefmatch.runs.reading import open_regular
from beliefmatch.setting_names import Setting, known_of

MAX_DEPTH = 3
"""How deep in a checkpoint a state dict is looked for."""
MAX_TEXT = 10_000
"""Characters of a name in a file."""
OLD_PICKLES = 4
"""Pickles at the beginning of a file of torch before 1.6."""
MAX_MESSAGE, MAX_NAME = 1000, 80
"""Characters of a message of torch's that are read, and of a name in a file that a message shows."""
MAX_LISTED = 8
"""Names in a file that a message shows."""


class LeftOut:
    """Stands for a value of a checkpoint that is no weight, such as the arguments of a training script.

    It takes whatever is given and keeps nothing, so that no class of the file's own is made and no code of it runs.
    """

    def __new__(cls, *_: object) -> Self:
        """Return one, whatever it is made of."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        """Keep nothing."""


LEFT_OUT = (
    "argparse.Namespace",
    *(
        f"{module}.{kind}Path"
        for module in ("pathlib", "pathlib._local")
        for kind in ("", "Posix", "Windows", "Pure", "PurePosix", "PureWindows")
    ),
    *(
        f"{module}.multiarray.{function}"
        for module in ("numpy.core", "numpy._core")
        for function in ("scalar", "_reconstruct")
    ),
    "numpy.dtype",
    "numpy.ndarray",
)
"""Names of harmless types that training scripts keep beside the weights: `LeftOut` stands for each."""


def read_torch_save(file: BufferedReader, path: Path) -> Any:
    """Read a file written by `torch.save`: tensors, containers and plain values, with `LeftOut` for other types.

    Args:
        file: open at its beginning.
        path: of the file, for messages.

    Raises:
        WeightsError: it is a TorchScript program, wants to run code, or is truncated or damaged.
    """
    if is_torchscript(path):
        raise WeightsError(explain_torchscript(path))
    _check_texts(file, path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([(LeftOut, name) for name in LEFT_OUT]):
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error)[:MAX_MESSAGE])
        what = wanted[1][:MAX_NAME] if wanted else "something other than tensors"
        raise WeightsError(
            f"{path} is refused: it wants to load {what}, which may run code. Save only the weights: "
            "torch.save(model.state_dict(), file)"
        ) from None
    # A damaged file fails in any way.
    except Exception:
        raise WeightsError(f"{path} is truncated or damaged, or was not written by torch.save") from None


def _check_texts(file: BufferedReader, path: Path) -> None:
    """Check that no text in a pickle is huge: torch takes for ever to tell of one. The file is rewound."""
    try:
        for stream in _pickles_in(file):
            for _, argument, _ in pickletools.genops(stream):
                if isinstance(argument, str | bytes) and len(argument) > MAX_TEXT:
                    raise WeightsError(
                        f"{path} is refused: it holds a text of {len(argument):,} characters: {argument[:40]!r}..."
                    )
    except WeightsError:
        raise
    except Exception:
        pass  # torch says what is wrong with it.
    file.seek(0)


def _pickles_in(file: BufferedReader) -> Iterator[IO[bytes]]:
    """Yield the pickles of a file that torch.save wrote."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    yield io.BytesIO(archive.read(name))
        return
    file.seek(0)
    # An older file holds a number, a version, a description of the machine, and then what was saved.
    for _ in range(OLD_PICKLES):
        yield file


def is_torchscript(path: Path) -> bool:
    """Whether a file is a program that `torch.jit.save` wrote; nothing of it is loaded."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            parts = [name.split("/") for name in archive.namelist()]
    except (FolderError, *BROKEN):
        return False
    return any(each[-1] == "constants.pkl" for each in parts) and any("code" in each[1:-1] for each in parts)


def pickled_class(path: Path) -> str | None:
    """Return the class of the object that torch.save wrote whole into a file; nothing of it is loaded.

    None: it is another file, or holds a state dict or another container.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as stream:
                first, argument = next(
                    (each.name, value) for each, value, _ in pickletools.genops(stream) if each.name != "PROTO"
                )
    except (FolderError, StopIteration, ValueError, *BROKEN):
        return None
    if first != "GLOBAL" or not isinstance(argument, str) or argument == "collections OrderedDict":
        return None
    module, _, cls = argument[:MAX_NAME].partition(" ")
    return None if module == "torch._utils" else f"{module}.{cls}"


def explain_pickled(path: Path, name: str) -> str:
    """Return what a file is that holds an object of a class, and the two ways on."""
    weights = Setting("teacher.weights", "weights.pt")
    return (
        f"{path} holds a pickled module, {name}, and loading it may run code, so it is not loaded here. If you trust "
        "it, either load it in Python, torch.load(file, weights_only=False), and give that module to beliefmatch "
        'there; or save its weights, torch.save(module.state_dict(), "weights.pt"), and name the architecture with '
        f"{weights}"
    )


def state_keys() -> str:
    """Return the settings that choose one of several state dicts, as a message names them; empty where none is."""
    return known_of(Setting("teacher.state_key"), Setting("student.state_key"))


def explain_torchscript(what: Path | str) -> str:
    """Return what a TorchScript file is, or a network loaded from one, and the two ways on."""
    weights = Setting("teacher.weights", "weights.pt")
    return (
        f"{what} is a TorchScript program, whose layers cannot be read. Either convert it, torch.onnx.export(program, "
        '(inputs,), "model.onnx", dynamo=False), and name model.onnx as the teacher; or save its weights, '
        f'torch.save(program.state_dict(), "weights.pt"), and name the architecture with {weights}; '
        'program is torch.jit.load("FILE")'
    )


def choose_state_dict(loaded: Any, path: Path, state_key: str | None) -> dict[str, Tensor]:
    """Return the state dict in what a file holds: the only one, or the one that the user names.

    Extra state in it comes as the bytes of its JSON.

    Args:
        loaded: content of the file.
        path: of the file, for messages.
        state_key: key of the state dict, such as ema, with dots where it lies deeper; None: the only one.

    Raises:
        WeightsError: there is none, there are several and none is named, or none of this name.
    """
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state dict")
    found = _state_dicts_in(loaded, set())
    if not found:
        keys = _listed(loaded) or "nothing"
        raise WeightsError(f"{path} holds no state dict: expected names with tensors, found {keys}")
    if state_key is not None:
        return _with_extra_state(_named(found, path, state_key), path)
    if len(found) > 1:
        known = state_keys()
        way_out = f"choose one with {known}" if known else "save one to a file of its own"
        raise WeightsError(
            f"{path} holds several state dicts: {_listed(found)}; {way_out}, such as {list(found)[-1][:MAX_NAME]}"
        )
    return _with_extra_state(next(iter(found.values())), path)


def _with_extra_state(found: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """Return a state dict with its extra state as tensors, as a run writes it."""
    for name, value in found.items():
        if not isinstance(value, Tensor):
            encoded = encode_extra_state(value)
            if encoded is None:
                raise WeightsError(
                    f"{path} holds {name[:MAX_NAME]}, a {type(value).__name__}, which cannot be restored: expected "
                    "extra state of numbers, texts, lists and dictionaries with names"
                )
            found[name] = encoded
    return found


def _named(found: dict[str, dict[str, Any]], path: Path, state_key: str) -> dict[str, Any]:
    if list(found) == [""]:
        raise WeightsError(f"{path} is a state dict itself: leave out {state_keys()}")
    named = [key for key in found if key == state_key] or [key for key in found if state_key in key.split(".")]
    if len(named) != 1:
        raise WeightsError(f"{path} has no state dict {state_key!r}; {the_nearest(state_key, found)}")
    return found[named[0]]


def _listed(names: Iterable[object]) -> str:
    return ", ".join(str(name)[:MAX_NAME] for name in islice(names, MAX_LISTED))


def _state_dicts_in(
    loaded: Mapping[Any, Any], seen: set[int], key: str = "", depth: int = 0
) -> dict[str, dict[str, Any]]:
    """Return all state dicts in nested mappings, by their keys with dots between them.

    What lies under several keys counts once: a small file could hold it a thousand times, and so a thousand in each.
    """
    seen.add(id(loaded))
    if _is_state_dict(loaded):
        return {key: dict(loaded)}
    found = {}
    for name, value in loaded.items() if depth < MAX_DEPTH else ():
        if isinstance(name, str) and isinstance(value, Mapping) and id(value) not in seen:
            found |= _state_dicts_in(value, seen, f"{key}.{name}" if key else name, depth + 1)
    return found


def _is_state_dict(loaded: Mapping[Any, Any]) -> bool:
    """Whether all are names with tensors or extra state, and not all single numbers, as a best score is one."""
    named = all(
        isinstance(key, str) and (isinstance(value, Tensor) or key.endswith(EXTRA)) for key, value in loaded.items()
    )
    return named and any(isinstance(value, Tensor) and value.dim() > 0 for value in loaded.values())
