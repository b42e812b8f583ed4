"""ONNX files whose texts try to become code, or commands of the terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from beliefmatch import load_model
from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.onnx_names import rename
from hostile_texts import CANARY, KINDS, TEXTS, outcome

WEIGHT = np.arange(24, dtype=np.float32).reshape(8, 3) / 10 - 1


def small_model(**names: str) -> Any:
    """Two layers; names of parts of it may be given."""
    called = {"node": "layer", "input": "x", "output": "y", "weight": "w", "value": "h", "graph": "g", "size": "n"}
    called |= names
    nodes = [
        helper.make_node("MatMul", [called["input"], called["weight"]], [called["value"]], name=called["node"]),
        helper.make_node("Relu", [called["value"]], [called["output"]], name="relu"),
    ]
    graph = helper.make_graph(
        nodes,
        called["graph"],
        [helper.make_tensor_value_info(called["input"], TensorProto.FLOAT, [called["size"], 8])],
        [helper.make_tensor_value_info(called["output"], TensorProto.FLOAT, [called["size"], 3])],
        [numpy_helper.from_array(WEIGHT, called["weight"])],
        value_info=[helper.make_tensor_value_info(called["value"], TensorProto.FLOAT, [called["size"], 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def documented(text: str) -> Any:
    model = small_model()
    parts = (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer)
    for part in parts:
        part.doc_string = text
    return model


def with_metadata(text: str) -> Any:
    model = small_model()
    model.producer_name = model.producer_version = model.domain = text
    helper.set_model_props(model, {text: text})
    model.graph.input[0].type.denotation = text
    model.opset_import.append(helper.make_opsetid(text, 1))
    return model


def with_quantization_note(text: str) -> Any:
    model = small_model()
    model.graph.quantization_annotation.add(tensor_name=text)
    return model


FITTING: dict[str, Callable[[str], Any]] = {
    **{part: lambda text, part=part: small_model(**{part: text}) for part in ("node", "input", "output", "weight")},
    **{part: lambda text, part=part: small_model(**{part: text}) for part in ("value", "graph", "size")},
    "doc strings": documented,
    "metadata": with_metadata,
    "annotation": with_quantization_note,
}
"""Texts that say nothing of what is computed: such a file is loaded, and answers as it would without them."""


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", FITTING)
def test_a_name_of_any_text_is_only_a_name(
    place: str, kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.onnx"
    onnx.save(FITTING[place](TEXTS[kind]), path)
    batch = torch.from_numpy(np.load(inputs)["inputs"])
    torch.testing.assert_close(load_model(str(path))(batch), (batch @ torch.from_numpy(WEIGHT)).relu())
    assert not Path(CANARY).exists()
    code, _ = outcome(capsys, "measure", "--teacher", path, "--student", path, "--images", inputs)
    assert code == 0


def with_attribute(text: str) -> Any:
    model = small_model()
    model.graph.node[1].attribute.append(helper.make_attribute(text, 1))
    return model


def with_text_attribute(text: str) -> Any:
    """An einsum's equation is a text that the converter keeps."""
    model = small_model()
    model.graph.node[0].op_type = "Einsum"
    model.graph.node[0].attribute.append(helper.make_attribute("equation", text))
    return model


def with_operator(text: str) -> Any:
    model = small_model()
    model.graph.node[1].op_type = text
    return model


def of_domain(text: str) -> Any:
    model = small_model()
    model.graph.node[1].domain = text
    model.opset_import.append(helper.make_opsetid(text, 1))
    return model


def with_function(text: str) -> Any:
    model = of_domain("ours")
    model.graph.node[1].op_type = text
    relu = helper.make_node("Relu", ["a"], [text], name=text, doc_string=text)
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("ours", text, ["a"], [text], [relu], opsets))
    return model


def with_subgraph(text: str) -> Any:
    model = small_model()
    info = helper.make_tensor_value_info(text, TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Relu", ["h"], [text], name=text)], text, [], [info])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    node = helper.make_node("If", ["condition"], ["y"], then_branch=branch, else_branch=branch)
    model.graph.node[1].CopyFrom(node)
    return model


def with_external_data(text: str) -> Any:
    model = small_model()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=text)
    return model


UNFITTING: dict[str, Callable[[str], Any]] = {
    "attribute name": with_attribute,
    "attribute text": with_text_attribute,
    "operator": with_operator,
    "domain": of_domain,
    "function": with_function,
    "subgraph": with_subgraph,
    "external data": with_external_data,
}


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", UNFITTING)
def test_what_says_how_to_compute_is_refused_or_does_no_harm(
    place: str, kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.onnx"
    onnx.save(UNFITTING[place](TEXTS[kind]), path)
    code, _ = outcome(capsys, "measure", "--teacher", path, "--student", path, "--images", inputs)
    # A function is replaced by what it consists of, whatever it is called.
    assert code == 2 or place == "function"


def test_an_error_names_nodes_and_values_as_the_file_does() -> None:
    model = small_model(node="encoder/first", value="hidden.1")
    names = rename(model, name="model.onnx")
    told = names.restored(f"{model.graph.node[0].name} gives {model.graph.node[0].output[0]}")
    assert told == "encoder/first gives hidden.1"


def test_no_text_that_the_file_chose_is_left() -> None:
    model = small_model(**dict.fromkeys(("node", "graph"), "evil"), input="evil_x", value="evil_h", size="evil_n")
    rename(model, name="model.onnx")
    assert b"evil" not in model.SerializeToString()


def test_a_text_that_stays_must_be_a_plain_word() -> None:
    model = small_model()
    model.graph.node[1].attribute.append(helper.make_attribute("mode", TEXTS["quotes"]))
    with pytest.raises(NetworkError, match=r"model.onnx is refused: .* is no plain word"):
        rename(model, name="model.onnx")
