"""Reading JSON that somebody else may have made: regular files of bounded size, of the types that were declared.

`read` checks a file against a frozen dataclass. Whatever does not fit is one line that names the file, the path in it,
what was expected and what came.
"""

import hashlib
import json
import os
import stat
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from beliefmatch.checks import MAX_FLOAT, MAX_WHOLE
from beliefmatch.errors import FolderError

MAX_BYTES = 2**26
"""Bytes that a JSON file may have. The largest of ours holds 2,500 intervals and is far below a megabyte."""
MAX_DEPTH = 32
"""Objects and lists that may lie in each other. Ours are at most eight deep."""
MAX_CHARACTERS = 60
"""Characters of a wrong value that a message shows."""

IN_MEMORY = {"in_memory": True}
"""Metadata of a field that no file holds, such as a module that the caller gave; its default stands in when read."""

T = TypeVar("T")


def read(path: Path, kind: type[T]) -> T:
    """Read a JSON file as a dataclass.

    Raises:
        FolderError: it cannot be read, or holds something else.
    """
    return parse(read_json(path), kind, file=path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        FolderError: it cannot be read, or holds something else.
    """
    content = load_json(read_bytes(path, MAX_BYTES), path)
    if not isinstance(content, dict):
        raise FolderError(f"{path} is damaged: it is {show(content)}, expected an object")
    return content


def read_bytes(path: Path, most: int) -> bytes:
    """Read a regular file of at most so many bytes.

    Raises:
        FolderError: it is none, is larger, or cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise FolderError(f"{path} cannot be read: it has {size:,} bytes, expected at most {most:,}")
        return file.read(most)


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file to read it; a pipe or a device is not waited for.

    Raises:
        FolderError: it is none, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FolderError(f"{path} cannot be read: it is no regular file")
            yield file
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a regular file, hexadecimal.

    Raises:
        FolderError: it is none, or cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def load_json(content: bytes, where: Path | str) -> Any:
    """Load JSON text of bounded depth.

    Raises:
        FolderError: it is none, is nested too deeply, or is text that cannot be written again.
    """
    try:
        loaded = json.loads(content.decode())
        _check_depth(loaded)
        json.dumps(loaded, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise FolderError(f"{where} cannot be read: it holds bytes that are no UTF-8 text") from error
    except RecursionError as error:
        raise FolderError(f"{where} cannot be read: it is nested more than {MAX_DEPTH} deep") from error
    except ValueError as error:
        raise FolderError(f"{where} cannot be read: it is no JSON ({error})") from error
    return loaded


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        parts = [part for part in level if isinstance(part, dict | list)]
        if not parts:
            return
        level = [child for part in parts for child in (part.values() if isinstance(part, dict) else part)]
    raise RecursionError


def parse(
    content: Any, kind: type[T], *, file: Path | str, path: str = "", tags: Mapping[str, type] | None = None
) -> T:
    """Build a value of an annotated type from JSON.

    Args:
        content: what the JSON holds.
        kind: int, float, str, bool, a frozen dataclass, or what `list`, `tuple`, `dict`, `Literal` and `| None` make
            of them. All fields of a dataclass must stand in an object, and no others.
        file: for messages.
        path: to this value in the file, such as settings.seed; for messages.
        tags: classes by name, where each object names its class under `type`; such objects stand for paths, too.

    Raises:
        FolderError: the content is of another type.
    """
    return _Parser(file=file, tags=tags).parse(content, kind, path)


@dataclass(frozen=True, kw_only=True)
class _Parser:
    file: Path | str
    tags: Mapping[str, type] | None

    def parse(self, content: Any, kind: Any, path: str, expected: Any = None) -> Any:
        """Parse one value; `expected` is what a message names where that is wider than its kind."""
        origin, parts = get_origin(kind), get_args(kind)
        expected = expected or kind
        if kind is Any:
            return content
        if origin in (Union, types.UnionType):
            return None if content is None else self.parse(content, _without_none(kind), path, kind)
        if origin is Literal:
            fits = isinstance(content, str) and content in parts
            return content if fits else self._fail(path, content, expected)
        if origin in (tuple, list):
            assert origin is list or parts[1:] == (...,), f"{kind} has items of several types"
            if not isinstance(content, list):
                self._fail(path, content, expected)
            items = [self.parse(item, parts[0], f"{path}[{number}]") for number, item in enumerate(content)]
            return tuple(items) if origin is tuple else items
        if kind in SCALARS:
            return self._parse_scalar(content, kind, path, expected)
        if not isinstance(content, dict):
            self._fail(path, content, expected)
        if origin is dict:
            return {name: self.parse(item, parts[1], _join(path, name)) for name, item in content.items()}
        return self._parse_object(content, origin or kind, path)

    def _parse_scalar(self, content: Any, kind: type, path: str, expected: Any) -> Any:
        is_number = isinstance(content, int | float) and not isinstance(content, bool)
        if kind is float and is_number and abs(content) < MAX_FLOAT:
            return float(content)
        if kind is int and is_number and isinstance(content, int) and abs(content) < MAX_WHOLE:
            return content
        if kind in (str, bool) and isinstance(content, kind):
            return content
        return self._fail(path, content, expected)

    def _parse_object(self, content: dict[str, Any], kind: type, path: str) -> Any:
        values = dict(content)
        if self.tags is not None:
            kind = self._class_of(values.pop("type", None), kind, path)
        if kind is Path:
            return Path(self._parse_fields(values, {"path": str}, path)["path"])
        fields = self._parse_fields(values, hints_of(kind), path)
        try:
            return kind(**fields)
        except (ValueError, ArithmeticError) as error:
            raise FolderError(f"{self.file} is damaged: {f'{path}: ' if path else ''}{error}") from error

    def _class_of(self, name: Any, kind: type, path: str) -> type:
        assert self.tags is not None
        if kind is Path and name == "Path":
            return Path
        known = {each: found for each, found in self.tags.items() if issubclass(found, kind)}
        if not isinstance(name, str) or name not in known:
            expected = ", ".join(sorted(known)) or kind.__name__
            raise FolderError(f"{self.file} is damaged: {_join(path, 'type')} is {show(name)}, expected {expected}")
        return known[name]

    def _parse_fields(self, values: dict[str, Any], hints: Mapping[str, Any], path: str) -> dict[str, Any]:
        for name in hints:
            if name not in values:
                expected = describe(hints[name])
                raise FolderError(f"{self.file} is damaged: {_join(path, name)} is missing, expected {expected}")
        for name in values:
            if name not in hints:
                raise FolderError(f"{self.file} is damaged: {_join(path, name)} is unknown")
        return {name: self.parse(values[name], hint, _join(path, name)) for name, hint in hints.items()}

    def _fail(self, path: str, content: Any, kind: Any) -> Any:
        raise FolderError(f"{self.file} is damaged: {path or 'it'} is {show(content)}, expected {describe(kind)}")


SCALARS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
"""Types of single values, and what a message calls them."""


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Return the annotation of each field of a dataclass that files hold, by its name."""
    assert is_dataclass(kind), f"{kind} is no dataclass"
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if not field.metadata.get("in_memory")}


def _without_none(kind: Any) -> Any:
    rest = [part for part in get_args(kind) if part is not types.NoneType]
    assert len(rest) == 1, f"{kind} is a union of more than one type with None"
    return rest[0]


def describe(kind: Any) -> str:
    """Return in words what JSON a type is read from, such as "a number or null"."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin is Literal:
        return " or ".join(parts)
    if kind in (types.NoneType, Path):
        return "a path" if kind is Path else "null"
    return SCALARS.get(kind) or ("a list" if origin in (tuple, list) else "an object")


def show(content: Any) -> str:
    """Return a JSON value in a few words on one line."""
    if isinstance(content, dict | list):
        return "an object" if isinstance(content, dict) else "a list"
    if content is None or isinstance(content, bool):
        return json.dumps(content)
    text = repr(content)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _join(path: str, name: str) -> str:
    name = name if name.isprintable() and len(name) <= MAX_CHARACTERS else show(name)
    return f"{path}.{name}" if path else name
