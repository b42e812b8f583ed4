"""A file in 8 bits without what onnxruntime does not need: it computes the same and is smaller."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from beliefmatch.export import onnx as onnx_format
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.quantization import static
from beliefmatch.quantization.compacting import SCALING
from beliefmatch.quantization.compacting import compact as compact_in_place
from beliefmatch.quantization.comparison import predict_by_onnxruntime
from beliefmatch.quantization.float_outputs import keep_outputs_float
from beliefmatch.quantization.static import CalibratedGraph, StaticSettings, prepare_graph

SPEC = InputSpec(shape=(1, 28, 28))


def make_network() -> nn.Module:
    """About as many weights as a LeNet-5, in as many layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.BatchNorm2d(6), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.BatchNorm2d(16), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 180), nn.ReLU(), nn.Linear(180, 84), nn.ReLU(), nn.Linear(84, 10)),
    ).eval()


def compact(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    compact_in_place(model)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return torch.randn(32, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def in_32_bits() -> bytes:
    return onnx_format.write(DeployedGraph(make_network(), SPEC, None), SPEC)


@pytest.fixture(scope="module")
def whole(in_32_bits: bytes, inputs: Tensor, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file as onnxruntime leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "compact", lambda _: None)
        return CalibratedGraph(prepare_graph(in_32_bits), inputs, tmp_path_factory.mktemp("whole")).quantize(
            StaticSettings()
        )


def test_it_computes_the_same(whole: bytes, inputs: Tensor) -> None:
    compacted = compact(whole)
    onnx.checker.check_model(onnx.load_from_string(compacted), full_check=True)
    assert torch.equal(predict_by_onnxruntime(compacted, inputs), predict_by_onnxruntime(whole, inputs))


def test_a_small_network_is_three_and_a_half_times_smaller(in_32_bits: bytes, inputs: Tensor, tmp_path: Path) -> None:
    content = CalibratedGraph(prepare_graph(in_32_bits), inputs, tmp_path).quantize(StaticSettings())
    assert 3.5 * len(content) < len(in_32_bits)


def test_weights_and_their_nodes_keep_their_names(whole: bytes) -> None:
    before, after = onnx.load_from_string(whole).graph, onnx.load_from_string(compact(whole)).graph
    names = [node.name for node in before.node if node.op_type not in SCALING]
    assert [node.name for node in after.node if node.op_type not in SCALING] == names
    kernels = [each.name for each in before.initializer if len(each.dims) > 1]
    assert [each.name for each in after.initializer if len(each.dims) > 1] == kernels
    assert [each.name for each in (*after.input, *after.output)] == ["inputs", "logits"]


def test_short_names_are_no_others() -> None:
    """A tensor that is called as the first short name would be, and zeros that are equal but for their type."""
    zero = [helper.make_tensor(f"zero_{kind}", kind, (), [0]) for kind in (TensorProto.UINT8, TensorProto.INT8)]
    scales = [
        helper.make_tensor(f"scale_{number}", TensorProto.FLOAT, (), [size]) for number, size in enumerate((1, 2))
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["q0"]),
        helper.make_node("QuantizeLinear", ["q0", "scale_0", zero[0].name], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "scale_0", zero[0].name], ["b"]),
        helper.make_node("QuantizeLinear", ["q0", "scale_1", zero[1].name], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "scale_1", zero[1].name], ["d"]),
        helper.make_node("Add", ["b", "d"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"])] for name in "xy"]
    graph = helper.make_graph(nodes, "graph", *ends, initializer=[*zero, *scales])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    inputs = torch.tensor([-1.0, 0.4, 3.0, 7.0])
    expected = predict_by_onnxruntime(content, inputs)
    assert torch.equal(predict_by_onnxruntime(compact(content), inputs), expected)
    arrays = [numpy_helper.to_array(each) for each in onnx.load_from_string(compact(content)).graph.initializer]
    assert len(arrays) == 4


def test_equal_zeros_are_kept_once(whole: bytes) -> None:
    graph = onnx.load_from_string(compact(whole)).graph
    names = {node.input[2] for node in graph.node if node.op_type in SCALING}
    zeros = [numpy_helper.to_array(each) for each in graph.initializer if each.name in names]
    assert len(zeros) == len(names)
    assert len({(each.dtype, each.shape, each.tobytes()) for each in zeros}) == len(zeros)


def test_outputs_are_not_rounded(in_32_bits: bytes, inputs: Tensor, tmp_path: Path) -> None:
    content = CalibratedGraph(prepare_graph(in_32_bits), inputs, tmp_path).quantize(StaticSettings())
    graph = onnx.load_from_string(content).graph
    (last,) = [node for node in graph.node if "logits" in node.output]
    assert last.op_type == "Gemm"
    logits = predict_by_onnxruntime(content, inputs)
    # More than the 256 levels that a tensor has in 8 bits.
    assert len(logits.unique()) > 0.9 * logits.numel() > 256
    read = {name for node in graph.node for name in node.input}
    assert {each.name for each in graph.initializer} <= read


class Ending(nn.Module):
    """Ends in probabilities, of which beliefmatch takes the logarithms."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.body, self.form = make_network(), form

    def forward(self, x: Tensor) -> Tensor:
        logits = 9 * self.body(x)
        return logits.softmax(dim=1).log() if self.form == "softmax" else logits.log_softmax(dim=1)


@pytest.mark.parametrize("form", ["softmax", "log_softmax"])
def test_what_is_made_of_logits_is_not_rounded(form: str, inputs: Tensor, tmp_path: Path) -> None:
    network = Ending(form).eval()
    content = onnx_format.write(DeployedGraph(network, SPEC, None), SPEC)
    content = CalibratedGraph(prepare_graph(content), inputs, tmp_path).quantize(StaticSettings())
    graph = onnx.load_from_string(content).graph
    (last,) = [position for position, node in enumerate(graph.node) if node.op_type == "Gemm"][-1:]
    assert not [node for node in list(graph.node)[last:] if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    found = predict_by_onnxruntime(content, inputs)
    assert bool(found.isfinite().all())
    with torch.no_grad():
        assert float((found - network(inputs)).abs().max()) < 2


def test_outputs_that_others_read_stay_as_they_are() -> None:
    """An output whose rounded values go on to another one."""
    scale = helper.make_tensor("scale", TensorProto.FLOAT, (), [1.0])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "scale"], ["b"]),
        helper.make_node("DequantizeLinear", ["b", "scale"], ["y"]),
        helper.make_node("Neg", ["y"], ["z"]),
    ]
    kinds = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in "xyz"}
    graph = helper.make_graph(nodes, "graph", [kinds["x"]], [kinds["y"], kinds["z"]], initializer=[scale])
    keep_outputs_float(graph)
    assert list(graph.node) == nodes
