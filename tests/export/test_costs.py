"""Before and after, and a teacher that has no file to compare with."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.export import costs
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
    found = measure_deployed("onnx", VECTOR, student, content, teacher)
    assert found.student.bytes == len(content) < (found.teacher.bytes or 0)
    assert (found.student.macs, found.teacher.macs) == (16 * 22, 32 * 22)
    for deployed in (found.student, found.teacher):
        assert min(deployed.torch_latency or 0, deployed.onnxruntime_latency or 0) > 0
    assert found.why_no_teacher is None


def test_a_teacher_without_a_graph_is_timed_in_torch_alone() -> None:
    student = DeployedGraph(make_mlp_student(), VECTOR, None)
    found = measure_deployed("pt2", VECTOR, student, b"file", DeployedGraph(Deciding(), VECTOR, None))
    assert (found.teacher.bytes, found.student.bytes) == (None, 4)
    assert (found.teacher.torch_latency or 0) > 0
    assert "the teacher cannot be exported: the network has no graph" in (found.why_no_teacher or "")


def test_a_network_that_takes_no_single_example_is_timed_with_two() -> None:
    student = nn.Sequential(nn.Linear(VECTOR.shape[0], 5), nn.BatchNorm1d(5, track_running_stats=False))
    found = measure_deployed("pt2", VECTOR, DeployedGraph(student, VECTOR, None), b"", None)
    assert (found.student.torch_latency or 0) > 0
    assert found.student.macs == 5 * VECTOR.shape[0]


def test_gradients_are_on_again() -> None:
    measure_deployed("pt2", VECTOR, DeployedGraph(make_mlp_student(), VECTOR, None), b"", None)
    assert torch.is_grad_enabled()


def test_runtimes_do_not_take_turns_and_a_file_in_32_bits_is_timed_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def count(calls: Sequence[object]) -> list[float]:
        counts.append(len(calls))
        return [float(number) for number in range(1, len(calls) + 1)]

    monkeypatch.setattr(costs, "time_interleaved", count)
    student, teacher = (DeployedGraph(make(), VECTOR, None) for make in (make_mlp_student, make_mlp_teacher))
    content = FORMATS["onnx"].write(student, VECTOR)
    found = measure_deployed("onnx", VECTOR, student, content, teacher, in_32_bits=content)
    assert counts == [2, 3]
    assert (found.student.onnxruntime_latency, found.teacher.onnxruntime_latency, found.in_32_bits) == (1, 2, 3)
    assert measure_deployed("onnx", VECTOR, student, content, teacher).in_32_bits is None
