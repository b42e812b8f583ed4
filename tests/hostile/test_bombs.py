"""Small files that would take much memory or time: a process of its own reads each, within bounds of both."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from programs import read_records, save_program, write_archive

from beliefmatch import load_model
from beliefmatch.errors import NetworkError
from bounded_process import run_bounded

NUM_FUNCTIONS = 40
node = helper.make_node


def model(
    nodes: list[Any], *, taken: int = 8, given: int | str = "m", functions: tuple[Any, ...] = (), **weights: Any
) -> Any:
    """A model that maps (n, taken) to (n, given)."""
    sizes = {"x": ["n", taken], "y": ["n", given]}
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sizes.items()]
    tensors = [numpy_helper.from_array(np.array(values), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "graph", kinds[:1], kinds[1:], tensors)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ours", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)


def expand() -> Any:
    return model([node("Expand", ["x", "size"], ["y"])], taken=1, size=[1, 10**9])


def expand_to_another_size_than_it_says() -> Any:
    return model([node("Expand", ["x", "size"], ["y"])], taken=1, given=5, size=[1, 10**9])


def expand_by_computed_sizes() -> Any:
    sizes = [node("Shape", ["x"], ["sizes"]), node("Mul", ["sizes", "times"], ["size"])]
    return model([*sizes, node("Expand", ["one", "size"], ["y"])], times=[1, 10**9], one=np.ones((1, 1), np.float32))


def tile_by_converted_sizes() -> Any:
    nodes = [node("Cast", ["size"], ["sizes"], to=TensorProto.INT64), node("Tile", ["x", "sizes"], ["y"])]
    return model(nodes, size=np.array([1, 2e8], np.float32))


def numbers_in_a_row() -> Any:
    nodes = [
        node("Range", ["first", "last", "step"], ["row"]),
        node("Cast", ["row"], ["numbers"], to=TensorProto.FLOAT),
        node("ReduceMax", ["numbers"], ["most"], keepdims=0),
        node("Add", ["x", "most"], ["y"]),
    ]
    return model(nodes, first=0, last=10**10, step=1)


def doubled() -> Any:
    names = ["x", *(f"h{number}" for number in range(39)), "y"]
    return model([node("Concat", [before, before], [after], axis=1) for before, after in itertools.pairwise(names)])


def functions_of_functions() -> Any:
    def function(name: str, called: str, domain: str) -> Any:
        nodes = [node(called, ["a"], ["b"], domain=domain), node(called, ["b"], ["c"], domain=domain)]
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ours", 1)]
        return helper.make_function("ours", name, ["a"], ["c"], nodes, opsets)

    functions = [function(f"F{number}", f"F{number + 1}", "ours") for number in range(NUM_FUNCTIONS)]
    last = function(f"F{NUM_FUNCTIONS}", "Relu", "")
    return model([node("F0", ["x"], ["y"], domain="ours")], functions=(*functions, last))


def many_to_spell_out() -> Any:
    names = ["x", *(f"h{number}" for number in range(5000)), "y"]
    return model([node("Gelu", [before], [after]) for before, after in itertools.pairwise(names)])


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "expand": (expand, "a value in it has 1,000,000,000 numbers"),
    "another-size-than-it-says": (expand_to_another_size_than_it_says, "a value in it has 1,000,000,000 numbers"),
    "sizes-that-are-computed": (expand_by_computed_sizes, "a value in it has 8,000,000,000 numbers"),
    "sizes-that-are-converted": (tile_by_converted_sizes, "a value in it has 1,600,000,000 numbers"),
    "numbers-in-a-row": (numbers_in_a_row, "a value in it has 10,000,000,000 numbers"),
    "doubled": (doubled, "numbers, expected at most 134,217,728"),
    "functions-of-functions": (functions_of_functions, "its graph has more than 10,000 operators"),
    "operators-to-be-spelt-out": (many_to_spell_out, "more than 500 of its operators, Gelu"),
}


def read_in_a_process(file: Path, inputs: Path) -> tuple[int, str]:
    """Measure a file against itself within bounds."""
    return run_bounded("measure", "--teacher", file, "--student", file, "--images", inputs, log=file.parent / "log")


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_would_grow_is_refused(kind: str, tmp_path: Path) -> None:
    make, message = MODELS[kind]
    onnx.save(make(), tmp_path / "m.onnx")
    with pytest.raises(NetworkError, match=re.escape(message)):
        load_model(str(tmp_path / "m.onnx"))


@pytest.mark.long
@pytest.mark.parametrize("kind", MODELS)
def test_it_takes_little_memory_and_time(kind: str, tmp_path: Path, inputs: Path) -> None:
    make, message = MODELS[kind]
    onnx.save(make(), tmp_path / "m.onnx")
    code, error = read_in_a_process(tmp_path / "m.onnx", inputs)
    assert code == 2, error
    assert message in error


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read_records(save_program(tmp_path_factory.mktemp("program") / "program.pt2"))


@pytest.mark.long
def test_three_gigabytes_of_zeros_that_nothing_uses_stay_packed(
    program: dict[str, bytes], tmp_path: Path, inputs: Path
) -> None:
    unused = f"{next(iter(program)).partition('/')[0]}/data/unused"
    path = write_archive(tmp_path / "p.pt2", program, {unused: 90})
    assert read_in_a_process(path, inputs)[0] == 0


@pytest.mark.long
def test_many_records_of_zeros_are_refused_together(program: dict[str, bytes], tmp_path: Path, inputs: Path) -> None:
    weights = f"{next(iter(program)).partition('/')[0]}/data/weights/weight_"
    path = write_archive(tmp_path / "p.pt2", program, {f"{weights}{number}": 2 for number in range(100, 130)})
    code, error = read_in_a_process(path, inputs)
    assert code == 2
    assert "is refused: " in error
    assert "bytes would become 1.9 GiB" in error


@pytest.mark.long
def test_a_size_of_astronomical_powers_is_refused(program: dict[str, bytes], tmp_path: Path, inputs: Path) -> None:
    huge = {name: re.sub(rb'"expr_str": "[^"]*"', b'"expr_str": "9**9**9**9"', each) for name, each in program.items()}
    assert huge != program
    code, error = read_in_a_process(write_archive(tmp_path / "p.pt2", huge, {}), inputs)
    assert code == 2
    assert "is too large an expression for a size" in error
