"""Files that somebody else made: read as what was declared, or refused in one line."""

import ast
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

import beliefmatch
from beliefmatch.errors import FolderError
from beliefmatch.runs import reading
from beliefmatch.runs.reading import MAX_DEPTH, describe, parse, read, read_json


@dataclass(frozen=True, kw_only=True)
class Point:
    x: float
    name: str | None
    kind: Literal["round", "square"] = "round"


@dataclass(frozen=True, kw_only=True)
class Shape:
    points: tuple[Point, ...]
    sizes: dict[str, int]
    is_closed: bool

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a shape needs points")


POINT = {"x": 1, "name": None, "kind": "round"}
SHAPE = {"points": [POINT], "sizes": {"a": 3}, "is_closed": True}


def test_what_was_declared_is_read(tmp_path: Path) -> None:
    (tmp_path / "shape.json").write_text(json.dumps(SHAPE))
    found = read(tmp_path / "shape.json", Shape)
    assert found == Shape(points=(Point(x=1.0, name=None),), sizes={"a": 3}, is_closed=True)
    assert isinstance(found.points[0].x, float)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "it is 3, expected an object"),
        (SHAPE | {"points": POINT}, "points is an object, expected a list"),
        (SHAPE | {"points": [3]}, r"points\[0\] is 3, expected an object"),
        (SHAPE | {"points": [POINT, POINT | {"x": "1"}]}, r"points\[1\].x is '1', expected a number"),
        (SHAPE | {"points": [POINT | {"x": True}]}, r"points\[0\].x is true, expected a number"),
        (SHAPE | {"points": [POINT | {"x": float("nan")}]}, r"points\[0\].x is nan, expected a number"),
        (SHAPE | {"points": [POINT | {"x": 10**400}]}, r"points\[0\].x is 1000.*\.\.\., expected a number"),
        (SHAPE | {"points": [POINT | {"name": 3}]}, r"points\[0\].name is 3, expected text or null"),
        (SHAPE | {"points": [POINT | {"kind": "flat"}]}, r"points\[0\].kind is 'flat', expected round or square"),
        (SHAPE | {"points": [POINT | {"kind": []}]}, r"points\[0\].kind is a list, expected round or square"),
        (SHAPE | {"points": [{"x": 1}]}, r"points\[0\].name is missing, expected text or null"),
        (SHAPE | {"points": [{"x": 1, "name": ""}]}, r"points\[0\].kind is missing, expected round or square"),
        (SHAPE | {"points": []}, "a shape needs points"),
        (SHAPE | {"sizes": {"a": 1.5}}, "sizes.a is 1.5, expected a whole number"),
        (SHAPE | {"sizes": {"a": 2**63}}, "sizes.a is 9223372036854775808, expected a whole number"),
        (SHAPE | {"sizes": {"a\nb": ""}}, r"sizes.'a\\nb' is '', expected a whole number"),
        (SHAPE | {"sizes": [1]}, "sizes is a list, expected an object"),
        (SHAPE | {"is_closed": 1}, "is_closed is 1, expected true or false"),
        (SHAPE | {"more\n": 1}, r"'more\\n' is unknown"),
    ],
)
def test_what_is_of_another_type_is_one_line(content: Any, message: str) -> None:
    with pytest.raises(FolderError, match=rf"^shape\.json is damaged: {message}") as caught:
        parse(content, Shape, file="shape.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe{}", "bytes that are no UTF-8"),
        (rb'{"a": "\ud800"}', "bytes that are no UTF-8"),
        (b"[]", "is a list, expected an object"),
        (b"null", "is null, expected an object"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested more than 32 deep"),
        (b"[" * 1_000_000, "nested more than 32 deep|is no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is no JSON"),
    ],
)
def test_what_is_no_object_of_bounded_depth_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(FolderError, match=rf"file\.json .*({message})") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_as_deep_as_is_allowed_is_read(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
    assert read_json(tmp_path / "file.json")


def test_files_that_are_none_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    with pytest.raises(FolderError, match="No such file"):
        read_json(path)
    os.mkfifo(path)
    with pytest.raises(FolderError, match=r"file\.json cannot be read: it is no regular file"):
        read_json(path)
    with pytest.raises(FolderError, match="cannot be read"):
        read_json(tmp_path)
    path.unlink()
    path.write_text('{"a": 1}')
    monkeypatch.setattr(reading, "MAX_BYTES", 7)
    with pytest.raises(FolderError, match="it has 8 bytes, expected at most 7"):
        read_json(path)


def test_types_are_described_in_words() -> None:
    assert describe(float | None) == "a number or null"
    assert describe(tuple[int, ...]) == "a list"
    assert describe(Point) == describe(dict[str, int]) == "an object"


READERS = {
    "runs/reading.py": "here",
    "runs/atomic.py": "writes",
    "memory.py": "/proc",
    "networks/cost.py": "/proc",
    "cli/streams.py": "/dev/null",
    "cli/stored_help.py": "files of the package",
    "export/prediction_program.py": "what this program wrote",
    "quantization/export.py": "what this process wrote",
    "quantization/static.py": "what this process wrote",
    "studies/auto_compress.py": "what this process wrote",
    "studies/toy_pictures.py": "what this process wrote",
}
"""Files of the library that open a path themselves, and what it is; all others go through `open_regular`."""


def test_no_other_code_opens_a_file_to_read_it() -> None:
    source = Path(beliefmatch.__file__).parent
    found = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if any(_opened(path.read_text()))}
    assert found == set(READERS)


def _opened(source: str) -> Iterator[str]:
    """Yield the calls that open a path to read it; archives and pictures are opened from files that are open."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="read_text" | "read_bytes")):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="open")):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=of, attr="open"), args=[]) if "archive" not in ast.unparse(of):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=of, attr="open"), args=[ast.Constant(value=mode)]):
                if isinstance(mode, str) and "r" in mode and "archive" not in ast.unparse(of):
                    yield ast.unparse(node)
