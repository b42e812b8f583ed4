"""Settings as JSON and back, without torch: any frozen dataclass of numbers, texts, tuples, paths and its like."""

import inspect
import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar, get_args, get_origin

from beliefmatch.runs.reading import hints_of, parse

T = TypeVar("T")


def to_json(settings: Any) -> Any:
    """Return settings as JSON values, but for fields of `IN_MEMORY`; each object names its class under `type`."""
    if is_dataclass(settings):
        stored = [field.name for field in fields(settings) if not field.metadata.get("in_memory")]
        values = {name: to_json(getattr(settings, name)) for name in stored}
        return {"type": type(settings).__name__, **values}
    if isinstance(settings, Path):
        return {"type": "Path", "path": str(settings)}
    if isinstance(settings, tuple):
        return [to_json(item) for item in settings]
    assert settings is None or isinstance(settings, bool | int | float | str), f"{settings!r} is no setting"
    return settings


def default_names(settings: Any, path: str = "") -> list[str]:
    """Return the dotted names of the settings that have the default of their class, such as source.padding."""
    names = []
    for field in fields(settings):
        value, name = getattr(settings, field.name), f"{path}.{field.name}" if path else field.name
        if field.metadata.get("in_memory"):
            continue
        if field.default_factory is not MISSING:
            is_default = value == field.default_factory()
        else:
            is_default = field.default is not MISSING and value == field.default
        if is_default:
            names.append(name)
        elif is_dataclass(value):
            names += default_names(value, name)
    return names


def from_json(
    content: Any, kind: type[T], *, choices: Iterable[type] = (), file: Path | str = "settings", path: str = ""
) -> T:
    """Build settings from what `to_json` returned.

    Args:
        content: JSON values.
        kind: class of the settings.
        choices: concrete classes that may stand where a field of the settings names an abstract one.
        file: where the content is from, for messages.
        path: of the content in the file, for messages.

    Raises:
        FolderError: a class or a field is unknown, missing, or of another type; or settings contradict each other.
    """
    return parse(content, kind, file=file, path=path, tags=classes_in(kind, *choices))


def classes_in(*roots: type) -> dict[str, type]:
    """Return the concrete dataclasses that the annotations of settings lead to, by their names."""
    found: dict[str, type] = {}
    left: list[Any] = list(roots)
    while left:
        kind = left.pop()
        origin = get_origin(kind)
        left += get_args(kind)
        kind = kind if origin is None else origin
        if not is_dataclass(kind) or not isinstance(kind, type) or inspect.isabstract(kind):
            continue
        if kind.__name__ not in found:
            found[kind.__name__] = kind
            left += hints_of(kind).values()
        assert found[kind.__name__] is kind, f"two settings are called {kind.__name__}"
    return found


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the fields in which two settings as JSON differ, one line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in (*old, *(key for key in new if key not in old)):
            lines += differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return lines
    return [] if old == new else [f"{path} was {_show(old)}, is {_show(new)} now"]


def _show(value: Any) -> str:
    return str(value["path"]) if isinstance(value, dict) and value.keys() == {"type", "path"} else str(value)


WITHOUT_EFFECT = frozenset({"teacher.weights", "teacher.num_classes", "inputs.normalisation_from", "inputs.shape_from"})
"""Settings that hold where something lies, or who knows it. A teacher is compared by the bytes of its weights: neither
where it lies counts, nor whether its number of classes was given."""


def comparable(settings: Any) -> dict[str, Any]:
    """Return the settings of a run as JSON without what changes nothing that is computed."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    for part, name in (path.split(".") for path in WITHOUT_EFFECT):
        if isinstance(content["transfer"].get(part), dict):
            content["transfer"][part].pop(name, None)
    for part in ("teacher", "student"):
        named = content["transfer"].get(part)
        if isinstance(named, dict) and isinstance(named.get("architecture"), str):
            named["architecture"] = _without_folder(named["architecture"])
    return content


def _without_folder(architecture: str) -> str:
    """Return the name of an architecture without the folder of a file in it: a run may go on where it was moved."""
    prefix, path = ("hf:", architecture[3:]) if architecture.startswith("hf:") else ("", architecture)
    return f"{prefix}{PurePath(path).name}" if PurePath(path).is_absolute() else architecture
