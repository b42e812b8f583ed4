"""Models in ONNX as teachers: the same answers as onnxruntime, gradients, and what is refused."""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from beliefmatch import load_model
from beliefmatch.errors import NetworkError, TapError
from beliefmatch.export import costs
from beliefmatch.export.costs import measure_deployed
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks import cost
from beliefmatch.networks.cost import count_macs, measure_latency
from beliefmatch.networks.gradients import check_gradient
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.taps import outputs_of, why_untappable
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.run_settings import fingerprint


def export(network: nn.Module, path: Path, *shape: int, new: bool = True, dynamic: bool = True) -> Path:
    """Write a network by torch's new exporter or by its old one, traced with three examples."""
    how: dict[str, Any] = {"dynamo": new}
    if dynamic and new:
        how["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif dynamic:
        how |= {"input_names": ["input"], "dynamic_axes": {"input": {0: "batch"}}}
    # What the exporters print and deprecate is not ours.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.randn(3, *shape),), path, verbose=False, external_data=not dynamic, **how)
    return path


def batch_norm_network() -> nn.Module:
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    network = nn.Sequential(*layers, nn.Linear(16, 5))
    network(torch.randn(64, 3, 8, 8))
    return network.eval()


class Halves(nn.Module):
    """Has operators that later versions of ONNX write in other ways: means, splits, GELU, normalised layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.body, self.head = nn.LayerNorm(12), nn.Linear(12, 16), nn.Linear(8, 4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        first, second = self.body(self.norm(batch)).unsqueeze(1).chunk(2, dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(first, second, nn.functional.gelu(first))
        return self.head(mixed.mean(dim=(1, 2)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "batch norm": (batch_norm_network, (3, 8, 8)),
    "global mean": (lambda: make_network("convnet_4", in_channels=1, num_classes=6).eval(), (1, 8, 8)),
    "lenet": (lambda: make_network("lenet_5", in_channels=1, num_classes=10).eval(), (1, 28, 28)),
    "attention": (lambda: Halves().eval(), (6, 12)),
    "mlp": (lambda: make_network("mlp_16_8", in_channels=12, num_classes=4).eval(), (12,)),
}


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_computes_what_onnxruntime_does_and_its_gradient_is_the_networks(
    tmp_path: Path, name: str, new: bool, dynamic: bool
) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    path = export(network, tmp_path / "model.onnx", *shape, new=new, dynamic=dynamic)
    assert Network(architecture=str(path)).known_inputs() == InputSpec(shape=shape)
    model = load_model(str(path))
    session = onnxruntime.InferenceSession(path)
    batch = torch.randn(3, *shape)
    (answers,) = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
    torch.testing.assert_close(model(batch), torch.from_numpy(np.asarray(answers)), atol=1e-5, rtol=1e-5)
    first = torch.randn(5, *shape, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    weights = torch.randn_like(model(first))
    (model(first) * weights).sum().backward()
    (network(second) * weights).sum().backward()
    torch.testing.assert_close(model(first), network(second), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first.grad, second.grad, atol=1e-5, rtol=1e-5)
    copied = copy.deepcopy(model)
    assert fingerprint(copied) == fingerprint(model)
    assert torch.equal(copied(batch), model(batch))


class Rigid(nn.Module):
    """Has the number of examples that it is traced with written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 36, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.body(batch).sigmoid()).reshape(batch.shape[0], 4 * 36))


def test_a_model_of_a_fixed_batch_teaches_in_pieces_and_is_not_tapped(tmp_path: Path) -> None:
    network = Rigid().eval()
    model = load_model(str(export(network, tmp_path / "model.onnx", 3, 8, 8, new=False, dynamic=False)))
    assert why_untappable(model)
    batch = torch.randn(7, 3, 8, 8)
    torch.testing.assert_close(model(batch), network(batch), atol=1e-5, rtol=1e-5)
    teacher = Teacher(model, InputSpec(shape=(3, 8, 8)))
    assert teacher.batch_norms == {}
    assert not teacher.inspection.takes_any_batch
    assert teacher.inspection.feature_maps == {}
    with pytest.raises(TapError, match="nothing can be tapped in a program that takes a fixed number of examples"):
        outputs_of(model, batch, outputs=["program"])


def test_cost_of_a_model_of_a_fixed_batch_is_that_of_one_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, spec = Rigid().eval(), InputSpec(shape=(3, 8, 8))
    model = load_model(str(export(network, tmp_path / "model.onnx", 3, 8, 8, new=False, dynamic=False)))
    assert count_macs(model, spec) == Teacher(model, spec).inspection.macs == count_macs(network, spec)
    assert count_macs(network, spec) == 3 * 4 * 9 * 36 + 4 * 36 * 5
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _model, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(cost, "time_interleaved", lambda calls, **_options: [(call(), 6.0)[1] for call in calls])
    assert measure_latency([network, model], spec) == [6.0, 2.0]
    assert measure_latency([network, model], spec, batch_size=4) == [6.0, 4.0]
    assert sizes == [3, 6]
    monkeypatch.setattr(costs, "time_interleaved", lambda calls: [(call(), 6.0)[1] for call in calls])
    graphs = [DeployedGraph(each, spec, None) for each in (network, model)]
    found = measure_deployed("safetensors", spec, graphs[0], b"", graphs[1])
    assert [each.torch_latency for each in (found.student, found.teacher)] == [6.0, 2.0]
    assert [each.macs for each in (found.student, found.teacher)] == [count_macs(network, spec)] * 2


class Attending(nn.Module):
    """Its products are operators of an ONNX graph rather than layers, and their weights constants."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.slopes = nn.Conv2d(3, 8, 2, 2), nn.BatchNorm2d(8), nn.PReLU(8)
        self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        tokens = self.slopes(self.norm(self.conv(batch))).flatten(2).transpose(1, 2)
        return self.head(self.layer(tokens).mean(dim=1))


def test_parameters_of_a_model_are_those_of_the_network_it_was(tmp_path: Path) -> None:
    network, spec = Attending().eval(), InputSpec(shape=(3, 8, 8))
    for parameter in network.parameters():
        # The exporter keeps one of several equal constants.
        nn.init.uniform_(parameter, 0.1, 1)
    model = load_model(str(export(network, tmp_path / "model.onnx", 3, 8, 8)), shape=(3, 8, 8))
    found, expected = cost.measure_cost(model, spec), cost.measure_cost(network, spec)
    # Of batch-norm, which is part of the convolution in the file, 16 parameters are gone.
    assert expected.parameters - found.parameters == 16
    # And its statistics, 16 numbers of 4 bytes and a counter of 8; shapes and single factors of the graph count for
    # nothing.
    assert expected.bytes - found.bytes == 4 * (16 + 16) + 8
    assert found.macs == expected.macs


def written(path: Path, *operators: onnx.NodeProto, opset: int = 17, kind: int = TensorProto.FLOAT) -> Path:
    """Write a model of two inputs features and three classes: the operators, then a matrix product."""
    weights = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    last = operators[-1].output[0] if operators else "input"
    graph = helper.make_graph(
        [*operators, helper.make_node("MatMul", [last, "weights"], ["output"])],
        "model",
        [helper.make_tensor_value_info("input", kind, ["batch", 2])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
            onnx.numpy_helper.from_array(np.array(0, np.int8), "zero"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)
    return path


def node(operator: str, *inputs: str, out: str = "a", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), [out], **attributes)


@pytest.mark.parametrize(
    ("operators", "stop"),
    [
        ([node("Round", "input")], "Round"),
        ([node("Sign", "input")], "Sign"),
        (
            [node("Cast", "input", to=TensorProto.INT32), node("Cast", "a", out="b", to=TensorProto.FLOAT)],
            "Cast",
        ),
        (
            [
                node("ArgMax", "input", axis=1, keepdims=1),
                node("Cast", "a", out="b", to=TensorProto.FLOAT),
                node("Mul", "b", "input", out="c"),
                node("Sign", "c", out="d"),
            ],
            "Sign",
        ),
    ],
)
def test_an_operator_without_gradient_is_named_where_one_is_needed(tmp_path: Path, operators: Any, stop: str) -> None:
    model = load_model(str(written(tmp_path / "model.onnx", *operators)))
    message = f"no gradient reaches the inputs of the teacher .none flows through {stop}., which is needed"
    with pytest.raises(NetworkError, match=message) as caught:
        check_gradient(model, InputSpec(shape=(2,)), role="teacher", needed_by="is needed")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ([node("QuantizeLinear", "input", "scale", "zero"), node("DequantizeLinear", "a", "scale", "zero", out="b")],
         r"cannot be made differentiable: QuantizeLinear \(opset 17\), DequantizeLinear \(opset 17\); it is quantised"),
        ([node("Det", "input")], r"cannot be made differentiable: Det \(opset 17\)$"),
    ],
)  # fmt: skip
def test_an_operator_that_cannot_be_converted_is_named(tmp_path: Path, operators: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=f"model.onnx .*{message}") as caught:
        load_model(str(written(tmp_path / "model.onnx", *operators)))
    assert "\n" not in str(caught.value)


def test_other_models_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", node("Cast", "input", to=1), kind=TensorProto.FLOAT16)
    with pytest.raises(NetworkError, match="takes float16, expected float32"):
        load_model(str(path))
    written(path)
    with pytest.raises(NetworkError, match=r"takes inputs of shape \(2,\), not \(3,\): shape=\(2,\)"):
        load_model(str(path), shape=(3,))
    with pytest.raises(NetworkError, match=r"is a program with its own weights: .* but no student"):
        make_network(str(path), in_channels=2, num_classes=3)
    with pytest.raises(NetworkError, match="is a program with its own weights"):
        load_model(str(path), weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no file at .*model.onnx"),
        (b"a text", "model.onnx is no ONNX model"),
        (b"", "model.onnx is no ONNX model"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=message) as caught:
        load_model(str(path))
    assert "\n" not in str(caught.value)


def test_weights_beside_the_model_that_are_gone_are_told(tmp_path: Path) -> None:
    path = export(batch_norm_network(), tmp_path / "model.onnx", 3, 8, 8, dynamic=False)
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(NetworkError, match=r"model.onnx is no ONNX model, or is damaged: .*model.onnx.data"):
        load_model(str(path))
