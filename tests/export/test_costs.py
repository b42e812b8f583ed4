"""Before and after, and a teacher that has no file to compare with."""

import torch
from torch import Tensor, nn

from beliefmatch.export.costs import measure_deployed
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph
from tiny import VECTOR, make_mlp_student, make_mlp_teacher


class Deciding(nn.Module):
    """Decides by values, so that it has no graph."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else 2 * x


def test_both_networks_are_measured_alike() -> None:
    student, teacher = (DeployedGraph(make(), VECTOR, None) for make in (make_mlp_student, make_mlp_teacher))
    content = FORMATS["onnx"].write(student, VECTOR)
    costs = measure_deployed("onnx", VECTOR, student, content, teacher)
    assert costs.student.bytes == len(content) < (costs.teacher.bytes or 0)
    assert (costs.student.macs, costs.teacher.macs) == (16 * 22, 32 * 22)
    for deployed in (costs.student, costs.teacher):
        assert min(deployed.torch_latency or 0, deployed.onnxruntime_latency or 0) > 0
    assert costs.why_no_teacher is None


def test_a_teacher_without_a_graph_is_timed_in_torch_alone() -> None:
    student = DeployedGraph(make_mlp_student(), VECTOR, None)
    costs = measure_deployed("pt2", VECTOR, student, b"file", DeployedGraph(Deciding(), VECTOR, None))
    assert (costs.teacher.bytes, costs.student.bytes) == (None, 4)
    assert (costs.teacher.torch_latency or 0) > 0
    assert "the teacher cannot be exported: the network has no graph" in (costs.why_no_teacher or "")


def test_gradients_are_on_again() -> None:
    measure_deployed("pt2", VECTOR, DeployedGraph(make_mlp_student(), VECTOR, None), b"", None)
    assert torch.is_grad_enabled()
