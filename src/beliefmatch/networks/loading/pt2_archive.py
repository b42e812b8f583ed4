"""Reading a `.pt2` file so that nothing in it is run.

`torch.export.load` unpickles parts of the file, evaluates its symbolic expressions as Python, and looks up the names
of its functions anywhere in torch. So the file is read here first: all of it that is not plain data is left behind or
refused, and torch is given an archive written anew from the rest.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.loading.suggestions import near_paths

WEIGHTS, CONSTANTS = "data/weights/", "data/constants/"
WEIGHTS_CONFIG, CONSTANTS_CONFIG = f"{WEIGHTS}model_weights_config.json", f"{CONSTANTS}model_constants_config.json"
PROGRAM, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
VERSIONS = ("archive_format", "archive_version", "byteorder")

OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision)\.(?!save\b|from_file\b|__)\w+(\.[A-Za-z]\w*)?"
    r"|torch\.ops\.aten\.__i?(and|or|xor|lshift|rshift)__\.(Scalar|Tensor)"
)
"""Operators of torch's own libraries, but for those that touch files."""
ON_NUMBERS = re.compile(
    r"_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|lshift|rshift)"
    r"|math\.(trunc|ceil|floor)|torch\.sym_(not|int|float|ite|max|min|sqrt)"
)
"""Functions of numbers, such as sizes."""
EXPRESSIONS = frozenset(
    (
        *("Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Max", "Min", "And", "Or", "Not", "Where"),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "true", "false", "Identity", "ToFloat"),
        *("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "FloorDiv", "CleanDiv", "CeilDiv"),
        *("ModularIndexing", "PythonMod", "Mod", "CeilToInt", "FloorToInt", "RoundToInt", "RoundDecimal", "LShift"),
        *("RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv", "TruncToFloat", "TruncToInt"),
    )
)
"""What symbolic expressions of sizes are made of."""
ALLOWED_NODES = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.operator, ast.unaryop, ast.cmpop),
)
NAMES = re.compile(r"[\w.,:+\-/@> ]*")
"""What every other text is made of: torch writes some of it into the code of the graph that it makes."""
NAMED = ("builtins.dict", "collections.OrderedDict")
CONTAINERS = ("builtins.tuple", "builtins.list", *NAMED)


@dataclass(frozen=True, kw_only=True)
class ExportedArchive:
    """What a `.pt2` file holds, as plain data."""

    path: Path
    program: dict[str, Any]
    """The graph, its signature and the ranges of its sizes."""
    configs: dict[str, dict[str, Any]]
    """By record: which weight or constant lies in which record, with its shape."""
    tensors: dict[str, bytes]
    """By record."""
    versions: dict[str, bytes]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes of the graph and of all graphs within."""
        return [node for graph in _graphs_in(self.program) for node in graph["nodes"]]

    @property
    def devices(self) -> set[str]:
        """Return the types of all devices in it."""
        parts = [*_walk(self.program), *_walk(self.configs)]
        return {part["type"] for part in parts if part.keys() == {"type", "index"}}

    def rewritten(self) -> io.BytesIO:
        """Write an archive that holds nothing but what was read and checked."""
        from torch.export.pt2_archive._package import PT2ArchiveWriter  # noqa: PLC0415 - torch < 2.8 has none

        buffer = io.BytesIO()
        with PT2ArchiveWriter(buffer) as writer:
            for name, content in (self.versions | self.tensors).items():
                writer.write_bytes(name, content)
            for name, config in (self.configs | {PROGRAM: self.program}).items():
                writer.write_bytes(name, json.dumps(config).encode())
            # Without example inputs, which are a pickle.
            writer.write_bytes(SAMPLES, b"")
        buffer.seek(0)
        return buffer


def read_archive(path: Path) -> ExportedArchive:
    """Read a program that `torch.export.save` of torch 2.8 or later wrote, and check that it is plain data.

    Raises:
        NetworkError: the file is missing, damaged, of another kind, or holds something that would run code.
    """
    records = _read_records(path)
    if PROGRAM not in records:
        raise NetworkError(f"{path} holds no program: expected what torch.export.save of torch 2.8 or later writes")
    try:
        program = json.loads(records[PROGRAM])
        configs = {name: json.loads(records[name]) for name in (WEIGHTS_CONFIG, CONSTANTS_CONFIG)}
        payloads = [(name, key, value) for name, config in configs.items() for key, value in config["config"].items()]
        tensors = {}
        for name, key, payload in payloads:
            record = name.rpartition("/")[0] + "/" + payload["path_name"]
            if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
                raise NetworkError(f"{path} is refused: {key} in it is a pickle, which may run code")
            tensors[record] = records[record]
        _clean(program, path)
        for config in _walk(configs):
            _check_names(config, path)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(f"{path} is damaged: {type(error).__name__}: {first_line(error)}") from error
    versions = {name: records[name] for name in VERSIONS if name in records}
    return ExportedArchive(path=path, program=program, configs=configs, tensors=tensors, versions=versions)


def _read_records(path: Path) -> dict[str, bytes]:
    """Read the records of a zip file by name, without the folder that holds them all."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    except OSError as error:
        raise NetworkError(f"{path} cannot be read: {error.strerror or first_line(error)}{near_paths(path)}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise NetworkError(f"{path} is no exported program, or is damaged: {first_line(error)}") from error


def _clean(program: dict[str, Any], path: Path) -> None:
    """Remove from a program, in place, what is not needed, and refuse what is not data."""
    program["guards_code"] = []
    # Only the whole program's own structure matters: what its modules took and gave is for those who unflatten it.
    whole, *_ = program["graph_module"]["module_call_graph"]
    program["graph_module"]["module_call_graph"] = [whole]
    whole["signature"]["forward_arg_names"] = None
    for key in ("in_spec", "out_spec"):
        whole["signature"][key] = _clean_spec(whole["signature"][key], path)
    for graph in _graphs_in(program):
        for node in graph["nodes"]:
            node["metadata"] = {}
    for value in _walk(program):
        for key in ("target", "as_operator"):
            target = value.get(key, "_operator.getitem")
            if not OPERATORS.fullmatch(target) and not ON_NUMBERS.fullmatch(target):
                raise NetworkError(f"{path} is refused: it calls {target}, which is no operator of torch's")
        if "expr_str" in value:
            _check_expression(value["expr_str"], path)
        _check_names(value, path)


def _clean_spec(text: str, path: Path) -> str:
    """Check that inputs or outputs are tuples, lists or dicts; classes with named fields become dicts."""
    protocol, tree = json.loads(text)
    for spec in _walk(tree):
        if spec["type"] is None:
            continue
        names, children = json.loads(spec["context"]), spec["children_spec"]
        if names is not None and (type(names) is not list or not all(_is_key(name) for name in names)):
            raise NetworkError(
                f"{path} is refused: its inputs or outputs hold a {spec['type']}, expected plain containers"
            )
        if len(children if names is None else names) != len(children):
            raise NetworkError(f"{path} is damaged: its inputs or outputs do not fit their names")
        if spec["type"] not in CONTAINERS:
            spec["type"] = "builtins.dict"
    return json.dumps([protocol, tree])


def _is_key(name: object) -> bool:
    return type(name) is int or (isinstance(name, str) and bool(re.fullmatch(r"\w+", name)))


def _check_names(value: dict[str, Any], path: Path) -> None:
    """Raise an error for texts in one dictionary that could be more than names."""
    texts = [*value]
    for key, inner in value.items():
        if key not in ("in_spec", "out_spec", "expr_str"):
            texts += [text for text in (inner if isinstance(inner, list) else [inner]) if isinstance(text, str)]
    for text in texts:
        if not NAMES.fullmatch(text):
            raise NetworkError(f"{path} is refused: {text[:60]!r} in it is no name, and may run code")


def _check_expression(text: str, path: Path) -> None:
    """Raise an error for an expression that is more than arithmetic on sizes: torch evaluates it as Python."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        nodes = [None]
    for node in nodes:
        is_allowed = isinstance(node, ALLOWED_NODES)
        if isinstance(node, ast.Call):
            is_allowed = isinstance(node.func, ast.Name) and node.func.id in EXPRESSIONS
        elif isinstance(node, ast.Name):
            is_allowed = node.id in EXPRESSIONS or bool(re.fullmatch(r"[a-z]+\d+", node.id))
        elif isinstance(node, ast.Constant):
            is_allowed = not isinstance(node.value, str) or bool(re.fullmatch(r"[\w.]*", node.value))
        if not is_allowed:
            raise NetworkError(f"{path} is refused: {text[:60]!r} in it is no expression of sizes, and may run code")


def _graphs_in(program: Any) -> Iterator[dict[str, Any]]:
    return (value for value in _walk(program) if "nodes" in value and "tensor_values" in value)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary within JSON values."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)
