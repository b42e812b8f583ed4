"""One example of each kind of damaged or hostile file: what is said of it, in one line."""

import json
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from programs import read_records, save_program, write_archive
from safetensors.torch import save_file

from beliefmatch import RunFolder, load_model, load_student
from beliefmatch.cli import main
from beliefmatch.data.images import read_image_folder
from beliefmatch.errors import BeliefMatchError, ExamplesError, FolderError
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.report.runs import MAX_ROWS, read_runs

MANY_ROWS = 4_100


def mlp_weights() -> dict[str, Any]:
    torch.manual_seed(0)
    return dict(make_network("mlp_8", in_channels=8, num_classes=10).state_dict())


def with_first(change: Callable[[torch.Tensor], Any]) -> dict[str, Any]:
    weights = mlp_weights()
    first = next(iter(weights))
    return weights | {first: change(weights[first])}


def recursive() -> dict[str, Any]:
    found: dict[str, Any] = {"epoch": torch.tensor(3)}
    found["itself"] = found
    return found


SAVED: dict[str, Callable[[], Any]] = {
    "quantised": lambda: with_first(lambda each: torch.quantize_per_tensor(each, 0.1, 0, torch.qint8)),
    "meta": lambda: with_first(lambda each: each.to("meta")),
    "nested": lambda: with_first(lambda each: torch.nested.nested_tensor([each[0], each[1, :2]])),
    "jagged": lambda: with_first(lambda each: torch.nested.nested_tensor([each[0], each[1, :2]], layout=torch.jagged)),
    "expanded": lambda: with_first(lambda each: each[:1, :1].half().expand(10**6, 10**6)),
    "sparse": lambda: with_first(lambda each: each.to_sparse()),
    "recursive": recursive,
    "a list": lambda: [torch.ones(2)],
}


@pytest.mark.filterwarnings("ignore:.*(quantize|deprecated|prototype|sparse).*")
@pytest.mark.parametrize("kind", SAVED)
def test_weights_that_are_none_are_one_line(kind: str, tmp_path: Path) -> None:
    torch.save(SAVED[kind](), tmp_path / "w.pt")
    with pytest.raises(BeliefMatchError, match=r"w\.pt") as caught:
        load_model("mlp_8", weights=tmp_path / "w.pt", shape=(8,))
    assert "\n" not in str(caught.value)


def test_a_pickle_that_names_a_million_characters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"\x80\x02c" + b"a" * 10**6 + b"\nb\n.")
    with pytest.raises(BeliefMatchError, match=r"is refused: it holds a text of 1,000,0\d\d characters"):
        load_model("mlp_8", weights=tmp_path / "w.pt", shape=(8,))


def test_content_decides_what_a_file_of_weights_is(tmp_path: Path) -> None:
    weights, batch = mlp_weights(), torch.randn(3, 8)
    torch.save(weights, tmp_path / "a.safetensors")
    save_file(weights, tmp_path / "a.pt")
    first, second = (load_model("mlp_8", weights=tmp_path / name, shape=(8,)) for name in ("a.safetensors", "a.pt"))
    assert torch.equal(first(batch), second(batch))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read_records(save_program(tmp_path_factory.mktemp("program") / "program.pt2"))


def test_a_size_that_would_take_for_ever_is_refused(program: dict[str, bytes], tmp_path: Path) -> None:
    huge = {
        name: re.sub(rb'"expr_str": "[^"]*"', b'"expr_str": "9**9**9**9"', content) for name, content in program.items()
    }
    assert huge != program
    with pytest.raises(BeliefMatchError, match="is too large an expression for a size"):
        load_model(str(write_archive(tmp_path / "p.pt2", huge)))


def test_a_bomb_that_nothing_uses_is_not_unpacked(
    program: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next(iter(program)).partition("/")[0]
    path = write_archive(tmp_path / "p.pt2", program | {f"{folder}/data/unused": bytes(2**27)})
    unpacked: list[str] = []
    unpack = zipfile.ZipFile.open

    def note(archive: zipfile.ZipFile, name: Any, *rest: Any, **named: Any) -> Any:
        unpacked.append(str(name))
        return unpack(archive, name, *rest, **named)

    monkeypatch.setattr(zipfile.ZipFile, "open", note)
    assert load_model(str(path))(torch.randn(2, 8)).shape == (2, 3)
    assert unpacked
    assert not any("unused" in name for name in unpacked)


def test_a_value_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "size"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10**10])],
        [numpy_helper.from_array(np.array([1, 10**10]), "size")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(BeliefMatchError, match="a value in it has 10,000,000,000 numbers"):
        load_model(str(tmp_path / "m.onnx"), shape=(1,))


def test_a_configuration_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet", "num_channels": 3}))
    (tmp_path / "preprocessor_config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(BeliefMatchError, match="nested more than 32 deep"):
        Network(architecture=f"hf:{tmp_path}").known_inputs()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished")
    save_file(mlp_weights(), place / "teacher.safetensors")
    words = ["--teacher", "mlp_8", "--teacher.weights", str(place / "teacher.safetensors"), "--student", "mlp_4"]
    sizes = ["--shape", "8", "--rounds", "2", "--batch-size", "4", "--accelerator", "cpu", "--display", "quiet"]
    assert main(["transfer", "noise", *words, *sizes, "--folder", str(place / "run")]) == 0
    return place / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_a_file_that_never_ends_is_not_read(run: Path) -> None:
    (run / "student.json").unlink()
    (run / "student.json").symlink_to("/dev/zero")
    with pytest.raises(FolderError, match=r"student\.json cannot be read: it is no regular file"):
        load_student(run)


def write_png_header(path: Path, side: int) -> None:
    """Write a picture of which the header promises so many pixels a side, and nothing follows."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))


def test_a_picture_of_a_billion_pixels_is_not_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_png_header(run / "pseudo" / "round_000001.png", 30_000)
    assert main(["report", str(run)]) == 2
    assert "it is no PNG file of at most 80,000,000 pixels" in capsys.readouterr().err.splitlines()[-1]


def test_a_picture_that_is_a_program_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps", format="EPS")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("a program was started"))
    with pytest.raises(ExamplesError, match=r"a\.png cannot be read as an image"):
        read_image_folder(tmp_path, shape=(3, 8, 8))


def test_a_long_run_is_thinned_for_its_report(run: Path) -> None:
    row = RunFolder(run).read_metrics()[-1]
    rows = [json.dumps(row | {"round": number + 1}) for number in range(MANY_ROWS)]
    (run / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    (read,) = read_runs([run])
    assert len(read.rows) <= MAX_ROWS < MANY_ROWS
    assert (read.rows[0]["round"], read.rows[-1]["round"]) == (1, MANY_ROWS)


@pytest.mark.parametrize(
    "name", ["teacher_parameters", "student_parameters", "teacher_macs", "student_bytes", "rounds"]
)
def test_a_report_divides_by_nothing(run: Path, name: str) -> None:
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {name: 0}))
    assert main(["report", str(run)]) == 0
