"""Converted ONNX models compute what onnxruntime does; what differs is refused, and its first operator is named."""

import logging
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from beliefmatch import load_model
from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading import onnx_check, onnx_compatibility

SHAPE = (3, 8, 8)


def weights(name: str, *shape: int) -> Any:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32) / 3
    return numpy_helper.from_array(values, name)


def node(operator: str, *inputs: str, out: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), [out], name=f"their {out}", **attributes)


def written(path: Path, *operators: onnx.NodeProto, batch: int | str = "batch") -> Path:
    """Write a model of images of three channels: a convolution, the operators, the mean of positions, two classes."""
    last = operators[-1].output[0] if operators else "first"
    nodes = [
        node("Conv", "input", "kernel", out="first", pads=[1, 1, 1, 1]),
        *operators,
        # What follows minds where a value lies.
        node("Conv", last, "kernel", out="second"),
        node("Mul", "second", "second", out="square"),
        node("GlobalAveragePool", "square", out="mean"),
        node("Flatten", "mean", out="flat"),
        node("MatMul", "flat", "head", out="output"),
    ]
    constants = {
        "twice": np.array([1, 1, 2, 2], np.float32),
        "odd": np.array([1, 1, 1.6, 1.6], np.float32),
        "three": np.array([3, *SHAPE], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *SHAPE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 2])],
        [
            weights("kernel", 3, 3, 3, 3),
            weights("head", 3, 2),
            weights("up", 3, 3, 3, 3),
            *(numpy_helper.from_array(value, name) for name, value in constants.items()),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def resize(scale: str, **attributes: Any) -> onnx.NodeProto:
    return node("Resize", "first", "", scale, out="resized", **attributes)


NEAREST = [
    {"coordinate_transformation_mode": position, "nearest_mode": rounded}
    for position in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    for rounded in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
]
OPERATORS: dict[str, tuple[onnx.NodeProto, ...]] = {
    **{
        f"Resize linear {position} {scale}": (resize(scale, mode="linear", coordinate_transformation_mode=position),)
        for position in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
        for scale in ("twice", "odd")
    },
    **{
        f"Resize nearest {' '.join(how.values())} {scale}": (resize(scale, mode="nearest", **how),)
        for how in NEAREST
        for scale in ("twice", "odd")
    },
    "Resize cubic": (resize("twice", mode="cubic"),),
    "ConvTranspose": (node("ConvTranspose", "first", "up", out="wide", strides=[2, 2]),),
    "ConvTranspose with output_shape": (
        node("ConvTranspose", "first", "up", out="wide", strides=[2, 2], output_shape=[16, 16]),
    ),
    "ConvTranspose with output_shape and auto_pad": (
        node("ConvTranspose", "first", "up", out="wide", strides=[2, 2], output_shape=[16, 16], auto_pad="SAME_UPPER"),
    ),
    "MeanVarianceNormalization": (node("MeanVarianceNormalization", "first", out="normal"),),
    "MeanVarianceNormalization of an example": (
        node("MeanVarianceNormalization", "first", out="normal", axes=[1, 2, 3]),
    ),
    "MeanVarianceNormalization of each channel": (
        node("MeanVarianceNormalization", "first", out="normal", axes=[2, 3]),
    ),
    "AveragePool of padding": (
        node("AveragePool", "first", out="pooled", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    ),
    "LRN": (node("LRN", "first", out="normal", size=3),),
    "MaxPool with auto_pad": (
        node("MaxPool", "first", out="most", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    ),
}


TAKEN = (
    *("Resize linear half_pixel twice", "Resize nearest asymmetric floor odd", "Resize cubic", "ConvTranspose", "LRN"),
    *("MeanVarianceNormalization", "MeanVarianceNormalization of an example"),
)
"""Those that have to be taken, with the right outputs."""


def load_or_refuse(path: Path) -> Any:
    """Return the model, or the message by which it is refused."""
    try:
        return load_model(str(path))
    except NetworkError as error:
        return str(error)


@pytest.mark.parametrize("name", OPERATORS)
def test_what_is_taken_computes_what_onnxruntime_does(tmp_path: Path, name: str) -> None:
    """Each of these is converted rightly, or refused by its name: never taken with other outputs."""
    operators = OPERATORS[name]
    path = written(tmp_path / "model.onnx", *operators)
    batch = torch.rand(7, *SHAPE)
    model = load_or_refuse(path)
    if isinstance(model, str):
        assert name not in TAKEN, model
        assert re.search(rf"(first operator whose output differs is|its operator) {operators[0].op_type}\b", model)
        assert "\n" not in model
        return
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"input": batch.numpy()})
    torch.testing.assert_close(model(batch), torch.as_tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [None, "Resize linear half_pixel twice", "Resize nearest asymmetric floor odd"])
def test_shared_weights_count_once_and_scales_are_none(tmp_path: Path, name: str | None) -> None:
    """Both convolutions have the same kernel of 81 numbers; the head has 6, and Resize 4 that are no weights."""
    model = load_model(str(written(tmp_path / "model.onnx", *(OPERATORS[name] if name else ()))))
    found = measure_cost(model, InputSpec(shape=SHAPE))
    assert (found.parameters, found.bytes) == (87, 348)


def test_a_matrix_that_is_shared_in_several_layouts_counts_once(tmp_path: Path) -> None:
    """A head of 6 numbers, then its transpose, then itself again, as a constant and in layers."""
    file = written(tmp_path / "model.onnx")
    model = onnx.load(file)
    model.graph.node[-1].output[0], model.graph.node[-1].name = "low", "their low"
    model.graph.node.append(node("Gemm", "low", "head", out="high", transB=1))
    model.graph.node.append(node("Gemm", "high", "head", out="output"))
    onnx.save(model, file)
    network = load_model(str(file))
    found = measure_cost(network, InputSpec(shape=SHAPE))
    assert (found.parameters, found.bytes) == (87, 348)
    batch = torch.rand(4, *SHAPE)
    (expected,) = onnxruntime.InferenceSession(file).run(None, {"input": batch.numpy()})
    torch.testing.assert_close(network(batch), torch.as_tensor(expected), atol=1e-4, rtol=1e-4)


def test_equal_weights_of_a_model_that_are_not_shared_count_each(tmp_path: Path) -> None:
    file = written(tmp_path / "model.onnx")
    model = onnx.load(file)
    model.graph.initializer.append(weights("kernel again", 3, 3, 3, 3))
    model.graph.node[1].input[1] = "kernel again"
    onnx.save(model, file)
    assert measure_cost(load_model(str(file)), InputSpec(shape=SHAPE)).parameters == 2 * 81 + 6


def test_the_first_operator_that_differs_is_named_as_the_file_has_it(tmp_path: Path) -> None:
    """Two operators that are both converted wrongly, in a model of seven examples at once."""
    wrong = resize("twice", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil")
    later = node(
        "Resize", "resized", "", "twice", out="larger", mode="linear", coordinate_transformation_mode="asymmetric"
    )
    path = written(tmp_path / "model.onnx", wrong, later, batch=7)
    with pytest.raises(
        NetworkError, match=r"on batches of 7\. The first .* is Resize \(their resized\): take the network"
    ):
        load_model(str(path))


def test_a_difference_in_one_batch_size_alone_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "model.onnx", *OPERATORS["MeanVarianceNormalization"])
    load_model(str(path))

    def spell_out(model: Any, _unknown: Any) -> None:
        """Leave out the mean over the batch, which one example does not show."""
        for each in model.graph.node:
            if each.op_type == "MeanVarianceNormalization":
                each.attribute.extend([helper.make_attribute("axes", [2, 3])])

    monkeypatch.setattr(onnx_compatibility, "_write_defaults", spell_out)
    with pytest.raises(
        NetworkError, match=r"batches of 2\. What differs is the translation of MeanVarianceNormalization"
    ):
        load_model(str(path))


def test_a_sign_that_rounding_flips_in_one_example_is_no_difference() -> None:
    wanted = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    one, two = torch.tensor(wanted), torch.tensor(wanted)
    one[0, 0] = two[0, 0] = two[1, 1] = -1
    assert onnx_check.are_equal([wanted], [one], 3)
    assert not onnx_check.are_equal([wanted], [two], 3)
    assert not onnx_check.are_equal([wanted], [one[:2]], 3)


@pytest.mark.parametrize(
    ("found", "equal"),
    [
        ([[0.0, 1.0, float("nan"), float("inf")]], True),
        ([[0.0, 1.0004, float("nan"), float("inf")]], True),
        ([[0.0, 1.01, float("nan"), float("inf")]], False),
        ([[0.0, 1.0, 0.0, float("inf")]], False),
        ([[0.0, 1.0, float("nan"), -float("inf")]], False),
    ],
)
def test_outputs_are_compared_to_a_thousandth_of_their_range(found: list[list[float]], *, equal: bool) -> None:
    wanted = np.array([[0.0, 1.0, np.nan, np.inf]])
    assert onnx_check.are_equal([wanted], [torch.tensor(found)], 1) == equal


def test_without_onnxruntime_the_log_says_that_nothing_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    caplog.set_level(logging.INFO)
    load_model(str(written(tmp_path / "model.onnx", *OPERATORS["Resize linear asymmetric twice"])))
    assert "onnxruntime is not installed, so it was not checked that" in caplog.text
    assert "pip install 'beliefmatch[onnx]'" in caplog.text


def test_what_onnxruntime_does_not_run_is_not_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The model has a batch of three written into it, which its input does not say."""
    caplog.set_level(logging.INFO)
    path = written(tmp_path / "model.onnx", node("Reshape", "first", "three", out="shaped"))
    load_or_refuse(path)
    assert "converted rightly, for onnxruntime does not run it" in caplog.text
