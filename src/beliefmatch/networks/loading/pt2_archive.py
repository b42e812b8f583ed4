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

from beliefmatch.errors import FolderError, NetworkError, first_line
from beliefmatch.networks.loading.suggestions import near_paths
from beliefmatch.runs.archives import BROKEN, check_members
from beliefmatch.runs.reading import open_regular

WEIGHTS, CONSTANTS = "data/weights/", "data/constants/"
WEIGHTS_CONFIG, CONSTANTS_CONFIG = f"{WEIGHTS}model_weights_config.json", f"{CONSTANTS}model_constants_config.json"
PROGRAM, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
NEEDED = re.compile(
    r"data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_\d+)|models/model\.json"
    r"|archive_format|archive_version|byteorder"
)
"""Records that are read; no other is unpacked."""
POWERS = {"Pow": 8, "PowByNatural": 8, "FloatPow": 8, "LShift": 62}
"""By function of two numbers, the most that the second may be, so that no size takes for ever to work out."""
MAX_POWERS, MAX_EXPRESSION = 4, 10_000
"""Such functions in an expression, and characters that it may have."""
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
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
            members = {name: member for name, member in members.items() if NEEDED.fullmatch(name)}
            check_members(members.values(), path, copies=2)
            return {name: archive.read(member) for name, member in members.items()}
    except FolderError as error:
        raise NetworkError(f"{error}{'' if path.exists() else near_paths(path)}") from error
    except BROKEN as error:
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
    powers = [node for node in nodes if node is not None and _is_power(node)]
    if len(text) > MAX_EXPRESSION or len(powers) > MAX_POWERS or not all(map(_is_small, powers)):
        raise NetworkError(f"{path} is refused: {text[:60]!r} in it is too large an expression for a size")
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


def _is_power(node: ast.AST) -> bool:
    """Whether a node of an expression raises to a power, or shifts to the left."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Pow | ast.LShift)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in POWERS


def _is_small(power: ast.AST) -> bool:
    """Whether an exponent is a small number."""
    if isinstance(power, ast.BinOp):
        exponent, most = power.right, 8
    else:
        assert isinstance(power, ast.Call)
        assert isinstance(power.func, ast.Name)
        exponent, most = power.args[1] if len(power.args) == 2 else None, POWERS[power.func.id]
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:
        exponent = exponent.args[0]
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    return isinstance(exponent, ast.Constant) and isinstance(exponent.value, int | float) and exponent.value <= most


def _graphs_in(program: Any) -> Iterator[dict[str, Any]]:
    return (value for value in _walk(program) if "nodes" in value and "tensor_values" in value)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary within JSON values."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)
