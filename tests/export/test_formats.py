"""Each format holds each kind of network, with a free batch and a single file."""

import io
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from beliefmatch.errors import ExportError
from beliefmatch.export import onnx as onnx_format
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.export.prediction_program import LOADERS
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.output_forms import give_logits
from tiny import make_conv_teacher, make_signal_network

SIZES = (1, 2, 9)


class Named(nn.Module):
    """Returns its logits by a name, among other things."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.fc(x), "seen": x}


class Special(nn.Module):
    """Does what ONNX has no operation for."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.airy_ai(x)


def channels_last() -> nn.Module:
    return make_conv_teacher().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def named_logits() -> nn.Module:
    network = Named()
    give_logits(network, "logits")
    return network


def built_in(name: str, in_channels: int) -> Callable[[], nn.Module]:
    return lambda: make_network(name, in_channels=in_channels, num_classes=10)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "wide_resnet_10_1": (built_in("wide_resnet_10_1", 3), (3, 32, 32)),
    "cifar_resnet_8": (built_in("cifar_resnet_8", 3), (3, 32, 32)),
    "lenet_5": (built_in("lenet_5", 1), (1, 28, 28)),
    "convnet_8": (built_in("convnet_8", 1), (1, 8, 8)),
    "mlp": (built_in("mlp_20_10", 12), (12,)),
    "signals": (make_signal_network, (2, 33)),
    "channels last": (channels_last, (1, 8, 8)),
    "names its logits": (named_logits, (12,)),
}


SLOW = {"wide_resnet_10_1", "channels last"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in NETWORKS]
)
def test_onnx_and_pt2_answer_batches_of_any_size(name: str) -> None:
    make, shape = NETWORKS[name]
    network, spec = make(), InputSpec(shape=shape)
    graph = DeployedGraph(network, spec, None)
    session = onnxruntime.InferenceSession(FORMATS["onnx"].write(graph, spec), providers=["CPUExecutionProvider"])
    assert [(node.name, node.shape[0]) for node in (*session.get_inputs(), *session.get_outputs())] == [
        ("inputs", "batch"),
        ("logits", "batch"),
    ]
    program = torch.export.load(io.BytesIO(FORMATS["pt2"].write(graph, spec))).module()
    for size in SIZES:
        batch = torch.randn(size, *shape)
        expected = network(batch)
        assert torch.allclose(program(batch), expected, atol=1e-5)
        assert torch.allclose(torch.from_numpy(session.run(None, {"inputs": batch.numpy()})[0]), expected, atol=1e-4)


def test_an_onnx_file_is_whole_and_tells_nothing_of_this_machine() -> None:
    content = FORMATS["onnx"].write(DeployedGraph(make_conv_teacher(), DIGITS, "uint8"), DIGITS)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.name, each.type.tensor_type.elem_type) for each in model.graph.input] == [
        ("pixels", onnx.TensorProto.UINT8)
    ]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    # Neither classes nor lines of code of whoever exported it.
    assert not any(each.metadata_props for each in (model.graph, *model.graph.node, *model.graph.value_info))
    assert b"DeployedGraph" not in content
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[2]).encode() not in content


def test_safetensors_hold_the_state_dict() -> None:
    network = make_conv_teacher()
    found = safetensors.torch.load(FORMATS["safetensors"].write(DeployedGraph(network, DIGITS, None), DIGITS))
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_what_onnx_cannot_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = InputSpec(shape=(12,))
    with pytest.raises(ExportError, match=r"cannot be written as ONNX: .*; try to='pt2'") as caught:
        FORMATS["onnx"].write(DeployedGraph(Special(), vector, None), vector)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(onnx_format, "MAX_BYTES", 100)
    with pytest.raises(ExportError, match="larger than the 2 GB that one ONNX file can hold: choose to='pt2'"):
        FORMATS["onnx"].write(DeployedGraph(make_conv_teacher(), DIGITS, None), DIGITS)


class Spectrum(nn.Module):
    """Multiplies complex numbers, which ONNX has none of."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bf,fc->bc", torch.fft.rfft(x), self.weight).real


def test_the_operator_that_onnx_lacks_is_named() -> None:
    vector = InputSpec(shape=(12,))
    with pytest.raises(ExportError, match=r"cannot be written as ONNX: [^\n]*aten\.einsum[^\n]*; try to='pt2'$"):
        FORMATS["onnx"].write(DeployedGraph(Spectrum(), vector, None), vector)


def test_each_format_is_written_and_loaded() -> None:
    assert FORMATS.keys() == LOADERS.keys()
