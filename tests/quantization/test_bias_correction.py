"""Bias correction: what rounding weights shifts is taken back, and kept only where it helps."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from beliefmatch.export import onnx as onnx_format
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.quantization import choice as choosing
from beliefmatch.quantization.bias_correction import correct_biases
from beliefmatch.quantization.calibration_inputs import CalibrationInputs
from beliefmatch.quantization.choice import Choice, choose_calibration, try_bias_correction
from beliefmatch.quantization.comparison import predict_by_onnxruntime
from beliefmatch.quantization.static import CalibratedGraph, PreparedGraph, StaticSettings, prepare_graph

SPEC = InputSpec(shape=(3, 8, 8))
COARSE = StaticSettings(reduce_range=True)


def make_network() -> nn.Module:
    """A convolution, a grouped one without a bias, a depthwise one and a linear layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=2, bias=False), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=8), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32, 5)),
    ).eval()


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return 1 + torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def content() -> bytes:
    return onnx_format.write(DeployedGraph(make_network(), SPEC, None), SPEC)


@pytest.fixture(scope="module")
def graph(content: bytes) -> PreparedGraph:
    return prepare_graph(content)


def with_coarse_weights(model: onnx.ModelProto) -> bytes:
    """Return a graph whose weights are rounded down to 5 bits, and nothing else, with scales beside them (QDQ)."""
    coarse = type(model)()
    coarse.CopyFrom(model)
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in list(coarse.graph.node):
        if node.op_type not in ("Conv", "Gemm"):
            continue
        name, weight = node.input[1], torch.from_numpy(arrays[node.input[1]].copy())
        scale = weight.flatten(1).abs().amax(1) / 15
        rounded = (weight / scale.view(-1, *(1 for _ in weight.shape[1:]))).floor().to(torch.int8)
        for suffix, values in (("_quantized", rounded), ("_scale", scale), ("_zero", torch.zeros_like(scale).char())):
            coarse.graph.initializer.append(onnx.numpy_helper.from_array(values.numpy(), name + suffix))
        parts = [f"{name}{suffix}" for suffix in ("_quantized", "_scale", "_zero")]
        maker = onnx.helper.make_node("DequantizeLinear", parts, [f"{name}_rounded"], axis=0)
        coarse.graph.node.insert(0, maker)
        node.input[1] = f"{name}_rounded"
    return coarse.SerializeToString()


def biases_moved(before: onnx.ModelProto, after: onnx.ModelProto) -> list[str]:
    moved = zip(before.graph.node, after.graph.node, strict=True)
    return [second.op_type for first, second in moved if list(first.input) != list(second.input)]


def test_the_mean_of_the_first_layer_is_restored(graph: PreparedGraph, inputs: Tensor) -> None:
    """Without padding the mean of what a layer gives follows from the mean of what it gets."""
    corrected = correct_biases(graph, with_coarse_weights(graph.model), inputs)
    assert corrected is not None
    assert biases_moved(graph.model, corrected.model) == ["Conv", "Conv", "Conv", "Gemm"]
    coarse = onnx.load_from_string(with_coarse_weights(graph.model))
    means = []
    for model in (graph.model, coarse, onnx.load_from_string(with_coarse_weights(corrected.model))):
        first = next(node for node in model.graph.node if node.op_type == "Conv")
        tapped = type(model)()
        tapped.CopyFrom(model)
        del tapped.graph.output[:]
        tapped.graph.output.append(onnx.helper.make_tensor_value_info(first.output[0], onnx.TensorProto.FLOAT, None))
        means.append(predict_by_onnxruntime(tapped.SerializeToString(), inputs).mean((0, 2, 3)))
    exact, shifted, restored = means
    assert float((shifted - exact).abs().max()) > 0.05
    # A window of 3 of 8 positions does not see all of them alike.
    assert float((restored - exact).abs().max()) < 0.1 * float((shifted - exact).abs().max())


def test_outputs_come_nearer_and_the_graph_stays(graph: PreparedGraph, content: bytes, inputs: Tensor) -> None:
    before = graph.model.SerializeToString()
    corrected = correct_biases(graph, with_coarse_weights(graph.model), inputs)
    assert corrected is not None
    assert graph.model.SerializeToString() == before
    expected = predict_by_onnxruntime(content, inputs)
    far, near = (
        float((predict_by_onnxruntime(with_coarse_weights(each.model), inputs) - expected).norm())
        for each in (graph, corrected)
    )
    assert near < 0.5 * far


def test_nothing_is_corrected_where_nothing_is_rounded(graph: PreparedGraph, inputs: Tensor) -> None:
    assert correct_biases(graph, graph.model.SerializeToString(), inputs) is None


@pytest.mark.parametrize("helps", [True, False])
def test_it_is_kept_where_it_helps(
    graph: PreparedGraph,
    content: bytes,
    inputs: Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    helps: bool,
) -> None:
    made = CalibrationInputs(by_name={"weighted": inputs[:32]}, held_out=inputs[32:])
    expected = predict_by_onnxruntime(content, made.held_out)
    choice = choose_calibration(graph, made, expected, tmp_path, settings=COARSE, calibration=None, ranges="minmax")
    found = replace(choice.closeness, divergence=choice.closeness.divergence + (-1e-9 if helps else 0.0))
    monkeypatch.setattr(choosing, "_quantize", lambda *_: (b"corrected", found))
    tried: Choice = try_bias_correction(choice, made, expected, tmp_path)
    assert [each.bias_correction for each in tried.candidates] == [False, True]
    assert tried.bias_correction is helps
    assert (tried.content == b"corrected") is helps
    assert isinstance(tried.graph, CalibratedGraph)
    assert (tried.graph is choice.graph) is not helps
