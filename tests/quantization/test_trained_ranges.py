"""A student that learnt 8 bits keeps the ranges that it learnt in its file of 8 bits."""

import math
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from beliefmatch.export import onnx as onnx_format
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.quantization.layers import quantized_layers
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.quantize import QuantizationSettings, quantize_network
from beliefmatch.quantization.static import prepare_graph
from beliefmatch.quantization.trained_ranges import TrainedRange, ranges_of_tensors, trained_ranges
from beliefmatch.students.quantized import QuantizedStudent

SPEC = InputSpec(shape=(3, 8, 8))


def make_student() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(72, 16), nn.ReLU(), nn.Linear(16, 5)),
    )
    return QuantizedStudent(architecture="quantized:w8a8").build(Teacher(network.eval(), SPEC)).eval()


def test_ranges_are_found_by_their_tensors() -> None:
    """That of a layer behind a pooling is the range of what is pooled."""
    student = make_student()
    trained = trained_ranges(student)
    assert trained["5"] == TrainedRange(
        scale=float(student.get_parameter("5.input_log_step").detach().exp()),
        zero_point=-quantized_layers(student)[1].lowest,
    )
    assert trained.keys() == {"0", "5", "7"}
    plain = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(72, 16), nn.ReLU(), nn.Linear(16, 5)),
    ).eval()
    model = prepare_graph(onnx_format.write(DeployedGraph(plain, SPEC, None), SPEC)).model
    found = ranges_of_tensors(model, trained)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    assert [(makers.get(name, "input"), each) for name, each in found.items()] == [
        ("input", trained["0"]),
        ("Relu", trained["5"]),
        ("Relu", trained["7"]),
    ]


def test_of_several_layers_the_widest_range_counts() -> None:
    nodes = [onnx.helper.make_node("Gemm", ["x", f"network.{name}.weight"], [name]) for name in "abc"]
    graph = onnx.helper.make_graph(nodes, "graph", [], [])
    trained = {name: TrainedRange(scale=size, zero_point=0) for name, size in (("a", 1.0), ("b", 3.0), ("d", 9.0))}
    assert ranges_of_tensors(onnx.helper.make_model(graph), trained) == {"x": trained["b"]}


@pytest.mark.parametrize("factor", [8.0, 1 / 64])
def test_the_file_computes_what_the_student_learnt_to(factor: float, tmp_path: Path) -> None:
    """Steps far from those that calibration finds: coarse ones, and fine ones that clip most of what there is."""
    student = make_student()
    with torch.no_grad():
        for layer in quantized_layers(student)[1:]:
            layer.input_log_step.add_(math.log(factor))
    settings = QuantizationSettings(num_inputs=64, min_agreement=0.1, keep_float="none")
    made = quantize_network(student, SPEC, tmp_path / "a.onnx", settings=settings)
    found = made.quantization
    assert found.ranges == "learnt"
    best_calibrated = min(each.divergence for each in found.candidates if each.ranges != "learnt")
    best_learnt = min(each.divergence for each in found.candidates if each.ranges == "learnt")
    assert best_learnt < 0.3 * best_calibrated
    scales = [numpy_helper.to_array(each) for each in onnx.load(made.file).graph.initializer if not each.dims]
    for layer in quantized_layers(student):
        step = math.exp(layer.input_log_step.item())
        assert any(scale.dtype.kind == "f" and math.isclose(scale, step, rel_tol=1e-6) for scale in scales)
