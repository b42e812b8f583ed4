"""What is not supported is refused by its name, or warned of where nothing tells."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.output_kinds import OutputKind

VECTOR, IMAGE = InputSpec(shape=(12,)), InputSpec(shape=(3, 8, 8))


class Segments(nn.Module):
    def __init__(self, wrap: Any = lambda maps: maps) -> None:
        super().__init__()
        self.body, self.wrap = nn.Conv2d(3, 5, 1), wrap

    def forward(self, batch: Tensor) -> Any:
        return self.wrap(self.body(batch))


class TakesTokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(100, 8), nn.Linear(8, 3)

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.embed(batch).mean(dim=1))


class TakesTwo(nn.Module):
    def forward(self, batch: Tensor, mask: Tensor) -> Tensor:
        return batch * mask


@pytest.mark.parametrize(
    ("network", "spec", "message"),
    [
        (Segments(), IMAGE, "segmentation, a class for each pixel, is not supported"),
        (Segments(lambda maps: {"out": maps}), IMAGE, "segmentation"),
        (Segments(lambda maps: SimpleNamespace(logits=maps)), IMAGE, "segmentation"),
        (Segments(lambda maps: [{"boxes": maps, "labels": maps}]), IMAGE, "object detection is not supported"),
        (Segments(lambda maps: SimpleNamespace(logits=None, pred_boxes=maps)), IMAGE, "object detection"),
        (TakesTokens(), VECTOR, "token inputs, such as text, are not supported"),
        (TakesTwo(), VECTOR, "networks of several inputs are not supported"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(network: nn.Module, spec: InputSpec, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        inspect(network, spec, role="teacher")


@pytest.mark.parametrize(
    ("network", "kind", "said"),
    [
        (
            nn.Linear(12, 1),
            None,
            "If it is a regression, results will be wrong: say teacher.outputs='regression'.*outputs='binary'",
        ),
        (nn.Linear(12, 1), "binary", None),
        (
            nn.Sequential(nn.Linear(12, 4), nn.Sigmoid()),
            None,
            "If several labels can be true at once.*say teacher.outputs='multi_label'",
        ),
        (nn.Sequential(nn.Linear(12, 4), nn.Sigmoid()), "sigmoid", None),
        (nn.Linear(12, 4), None, None),
    ],
)
def test_what_may_be_of_another_kind_is_warned_of(
    network: nn.Module, kind: OutputKind | None, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    inspect(network, VECTOR, role="teacher", outputs=kind)
    warned = [
        record.message for record in caplog.records if record.levelname == "WARNING" and "wrong" in record.message
    ]
    assert len(warned) == (said is not None)
    if said is not None:
        assert re.search(said, warned[0])
    caplog.clear()
    inspect(network, VECTOR, role="student")
    assert "results will be wrong" not in caplog.text


def test_binary_is_for_one_output() -> None:
    with pytest.raises(NetworkError, match=r"teacher.outputs='binary' is for one output, and the teacher has 4"):
        inspect(nn.Linear(12, 4), VECTOR, role="teacher", outputs="binary")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SegformerForSemanticSegmentation", "segmentation"),
        ("DetrForObjectDetection", "object detection"),
        ("BertForSequenceClassification", "token inputs"),
    ],
)
def test_a_folder_of_another_task_is_refused_by_its_name(tmp_path: Path, name: str, message: str) -> None:
    transformers = pytest.importorskip("transformers")
    transformers.ViTConfig(architectures=[name]).save_pretrained(tmp_path)
    with pytest.raises(NetworkError, match=f"is a {name}: {message}"):
        Network(architecture=f"hf:{tmp_path}").known_inputs()


def test_onnx_of_scikit_learn_and_of_tokens_is_refused_by_its_name(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, path = onnx.helper, str(tmp_path / "model.onnx")

    def write(node: Any, kind: int) -> None:
        given = helper.make_tensor_value_info("input", kind, ["batch", 12])
        made = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["batch", 12])
        onnx.save(helper.make_model(helper.make_graph([node], "model", [given], [made])), path)

    write(helper.make_node("Scaler", ["input"], ["output"], domain="ai.onnx.ml"), onnx.TensorProto.FLOAT)
    with pytest.raises(NetworkError, match="models of scikit-learn and its like"):
        Network(architecture=path).known_inputs()
    write(helper.make_node("Cast", ["input"], ["output"], to=1), onnx.TensorProto.INT64)
    with pytest.raises(NetworkError, match="takes integers, expected float32; token inputs"):
        Network(architecture=path).known_inputs()
