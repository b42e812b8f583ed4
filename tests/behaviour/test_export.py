"""`beliefmatch export` on a tiny run: files that answer as the student does, and a page that says what they are."""

import contextlib
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_command import error_line, transfer
from torch import nn

from beliefmatch import RunFolder, load_student
from beliefmatch.cli import main
from beliefmatch.errors import SettingsError
from beliefmatch.export.base import FormatName
from beliefmatch.export.export import export_student
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.report.page import write_report
from beliefmatch.runs.folder import RunFolder as Folder
from stored_students import replace_student
from tiny import HERE, make_conv_teacher

pytestmark = pytest.mark.usefixtures("forked_answers")

FILES = {"onnx": "model.onnx", "pt2": "model.pt2", "safetensors": "model.safetensors"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "digits.npz"
    np.savez(path, images=random.integers(0, 256, (150, 8, 8, 1), dtype=np.uint8), labels=np.arange(150) % 10)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert transfer(folder) == 0
    return folder


@pytest.fixture(scope="module")
def exported(finished: Path, images: Path) -> Path:
    """The run with a file of each format, made by the command."""
    folder = finished.with_name("exported")
    shutil.copytree(finished, folder)
    measured = ("--images", str(images), "--teacher-license", "MIT")
    assert main(["export", "--trust-code", str(folder), "--to", "onnx", "--pixels", "uint8", *measured]) == 0
    assert main(["export", "--trust-code", str(folder), "--to", "pt2", "--pixels", "unit"]) == 0
    assert main(["export", "--trust-code", str(folder), "--to", "safetensors", "--display", "quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def again(exported: Path, images: Path) -> tuple[dict[str, Any], str]:
    """What one file of a copy of the run is replaced by after a measurement: what was printed, and the card."""
    folder = exported.with_name("again")
    shutil.copytree(exported, folder)
    assert main(["measure", "--trust-code", str(folder), "--images", str(images), "--display", "quiet"]) == 0
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main(["export", "--trust-code", str(folder), "--to", "onnx", "--overwrite", "--display", "json"]) == 0
    return json.loads(shown.getvalue()), (folder / "README.md").read_text()


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be exported or damaged."""
    return shutil.copytree(finished, tmp_path / "run")


def export(folder: Path, *words: object, to: str = "onnx") -> int:
    return main(["export", "--trust-code", str(folder), "--to", to, *map(str, words)])


def test_result_says_what_was_found(exported: Path, images: Path) -> None:
    result = RunFolder(exported).read_result()
    assert result.exports is not None
    assert list(result.exports) == list(FILES.values())
    onnx, pt2, safetensors = result.exports.values()
    assert [each.pixels for each in (onnx, pt2, safetensors)] == ["uint8", "unit", None]
    for name, each in result.exports.items():
        assert (each.pseudo.name, each.pseudo.num_examples, each.num_noise) == ("fresh pseudo inputs", 256, 0)
        assert each.pseudo.max_logit_difference <= 1e-4
        assert each.pseudo.agreement == 1
        assert each.student.bytes == (exported / name).stat().st_size
        assert min(each.teacher.bytes or 0, each.student.bytes or 0) > 1000
        assert (each.teacher.macs, each.student.macs) == (result.teacher_macs, result.student_macs)
        assert min(each.teacher.torch_latency or 0, each.student.torch_latency or 0) > 0
        assert each.why_no_teacher is None
    assert min(onnx.teacher.onnxruntime_latency or 0, onnx.student.onnxruntime_latency or 0) > 0
    assert pt2.student.onnxruntime_latency is None
    assert onnx.images is not None
    assert (onnx.images.name, onnx.images.num_examples, onnx.images.agreement) == (images.name, 150, 1)
    assert onnx.images.accuracy == onnx.images.student_accuracy
    assert (onnx.teacher_license, pt2.images) == ("MIT", None)


def test_any_batch_of_pixels_is_answered_as_the_student_answers(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    program, student = torch.export.load(exported / "model.pt2").module(), load_student(exported, trust_code=True)
    for size in (1, 3, 200):
        stored = torch.randint(0, 256, (size, 8, 8, 1), dtype=torch.uint8)
        pixels, expected = stored.permute(0, 3, 1, 2).contiguous(), student(DIGITS.from_pixels(stored))
        (logits,) = session.run(["logits"], {"pixels": pixels.numpy()})
        assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-4)
        assert torch.allclose(program(pixels / 255), expected, atol=1e-4)


@pytest.mark.parametrize("number", range(3))
def test_the_lines_in_the_card_load_each_file(
    number: int, exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (exported / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    for name in ("README.md", *FILES.values()):
        shutil.copy(exported / name, tmp_path)
    shutil.copy(HERE, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    stored = torch.randint(0, 256, (2, 8, 8, 1), dtype=torch.uint8)
    code = re.sub(r"images = (np|torch)\.zeros\(\(2, 8, 8, 1\), dtype=\S+\)", "images = MINE", blocks[number])
    assert code != blocks[number]
    names: dict[str, Any] = {"MINE": stored.numpy() if "numpy" in code else stored}
    exec(compile(code, "README.md", "exec"), names)
    expected = load_student(exported, trust_code=True)(DIGITS.from_pixels(stored))
    assert torch.allclose(torch.as_tensor(names["logits"]), expected, atol=1e-4)


def test_the_card_says_what_is_known_and_what_is_not(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    settings = json.loads((exported / "run.json").read_text())["settings"]
    for words in (
        '---\nlicense: "MIT"\ntags: [knowledge-distillation, data-free]\n---\n<!-- ',
        "# tiny.py:make_dropout_student, made from tiny.py:make_conv_teacher",
        "without any of the data that the teacher was trained on",
        *(f"| `{name}` | " for name in FILES.values()),
        "256 fresh pseudo inputs; 150 examples of digits.npz",
        "inputs of shape (1, 8, 8): channels first",
        "mean [0.3053] and",
        "It gives 10 logits",
        "`model.onnx` needs `pip install numpy onnxruntime`, and neither torch nor beliefmatch",
        "and `tiny.py`, which makes the network, beside it",
        "| latency, onnxruntime, `model.onnx` | ",
        settings["teacher_sha256"],
        "Licence of the teacher: MIT.",
        "Recipe: `digits`; inputs from `Adversarial` (Micaelli & Storkey 2019",
        "accuracy of `model.onnx` on 150 examples of digits.npz",
        "- Agreement of student and teacher on real data.\n",
        "- `model.pt2` was not compared with the student on real data.\n",
        "says nothing about real data",
    ):
        assert words in card, words
    assert "- Accuracy of the student on real data." not in card
    assert str(HERE.parent) not in card
    assert str(exported.parent) not in card
    assert not re.search(r"\n\n\n|None|nan", card)


def test_a_file_is_replaced_when_asked_and_the_others_stay(again: tuple[dict[str, Any], str], exported: Path) -> None:
    shown, card = again
    assert (shown["format"], shown["pixels"], shown["pseudo"]["num_examples"]) == ("onnx", None, 256)
    exports = RunFolder(exported.with_name("again")).read_result().exports or {}
    assert (
        exports["model.onnx"].sha256
        == shown["sha256"]
        != (RunFolder(exported).read_result().exports or {})["model.onnx"].sha256
    )
    assert "| `model.onnx` | ONNX | network inputs, float32 |" in card
    assert "| `model.pt2` | torch.export | pixels in [0, 1], float32 |" in card


def test_numbers_that_were_measured_are_in_the_card(again: tuple[dict[str, Any], str], exported: Path) -> None:
    run, card = exported.with_name("again"), again[1]
    measured = json.loads((run / "measurement.json").read_text())
    top1 = measured["student"]["top1"]
    assert f"{100 * top1['value']:.2f} % ({100 * top1['low']:.1f} to {100 * top1['high']:.1f})" in card
    assert "On 150 examples of `digits.npz`, with 95 % intervals over examples: Wilson" in card
    assert "Agreement of student and teacher on real data." not in card
    assert "- Where the two part between classes (mean transition error).\n" in card
    assert RunFolder(run).read_result().agreement == measured["agreement"]["value"]


def test_the_report_lists_exported_files(exported: Path, tmp_path: Path) -> None:
    page = write_report([exported], out=tmp_path / "report.html").read_text()
    assert "Exported files" in page
    assert all(name in page for name in FILES.values())


def test_the_command_says_what_it_wrote(run: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = run.parent / "deploy"
    assert export(run, "--out", place, "--images", images) == 0
    out = capsys.readouterr()
    for words in (
        "in onnxruntime",
        "model.onnx and the student on 256 fresh pseudo inputs: outputs differ by at most",
        "150 examples of digits.npz: outputs differ",
        "agreement 100.00 %; accuracy ",
        f"wrote {place / 'model.onnx'}",
    ):
        assert words in out.out, words
    assert out.err == ""
    assert sorted(file.name for file in place.iterdir()) == ["README.md", "model.onnx"]
    assert list(RunFolder(run).read_result().exports or ()) == [str((place / "model.onnx").resolve())]
    assert not (run / "model.onnx").exists()


def test_without_the_teacher_there_is_noise_and_the_card_says_so(tmp_path: Path) -> None:
    weights, folder = tmp_path / "teacher.safetensors", tmp_path / "run"
    save_file(make_conv_teacher().state_dict(), weights)
    assert transfer(folder, teacher__weights=weights) == 0
    weights.unlink()
    assert export(folder, to="safetensors") == 0
    found = (RunFolder(folder).read_result().exports or {})["model.safetensors"]
    assert (found.num_noise, found.pseudo.name) == (256, "pseudo inputs and noise")
    assert found.why_noise == "the run's source needs the teacher, which cannot be loaded"
    assert (found.teacher.bytes, found.teacher.torch_latency) == (None, None)
    card = (folder / "README.md").read_text()
    assert "256 were standard normal noise" in card
    assert "Numbers of the teacher are missing: it cannot be loaded: no weights file" in card


@pytest.mark.parametrize("to", FILES)
def test_a_file_that_does_not_agree_is_not_left(
    to: FormatName, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = FORMATS[to].write

    def write_perturbed(graph: DeployedGraph, spec: InputSpec) -> bytes:
        whole = {name: tensor.clone() for name, tensor in graph.network.state_dict().items()}
        last = [module for module in graph.network.modules() if isinstance(module, nn.Linear)][-1]
        last.weight.data[0] += 0.05
        content = write(graph, spec)
        graph.network.load_state_dict(whole)
        return content

    monkeypatch.setitem(FORMATS, to, replace(FORMATS[to], write=write_perturbed))
    before = {file.name: file.stat().st_mtime_ns for file in run.iterdir()}
    assert export(run, to=to) == 2
    line = error_line(capsys)
    assert "does not predict what the student does on fresh pseudo inputs: a logit differs by" in line
    assert "nothing was left of it" in line
    assert {file.name: file.stat().st_mtime_ns for file in run.iterdir()} == before


def test_an_old_file_survives_one_that_cannot_be_loaded(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "model.onnx").write_bytes(b"old")
    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], write=lambda _graph, _spec: b"junk"))
    assert export(run, "--overwrite") == 2
    assert "the file gives no predictions in a fresh process" in error_line(capsys)
    assert (run / "model.onnx").read_bytes() == b"old"
    assert not list(run.glob(".*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "safetensors", "--pixels", "uint8"), "holds weights alone, so it cannot take pixels"),
        (("--to", "onnx", "--out", "RUN/model.pt"), "should end in .onnx, or be a folder"),
        (("--to", "safetensors", "--out", "RUN/student.safetensors", "--overwrite"), "belongs to the run itself"),
        (("--to", "onnx", "--images", "none.npz"), "no file at none.npz"),
        (("--to", "onnx", "--images", "RUN/wide.npz"), "images are 8x9, an exported file takes 8x8 and resizes none"),
        (("--to", "onnx", "--images", "RUN/colour.npz"), "images have 3 channels, the network takes 1"),
        (("--to", "onnx", "--out", "RUN/run.json/model.onnx"), "is no folder that can be written: name another --out"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(
    words: tuple[str, ...], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(run / "wide.npz", images=np.zeros((2, 8, 9, 1), np.uint8))
    np.savez(run / "colour.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    before = sorted(run.iterdir())
    assert main(["export", "--trust-code", str(run), *(word.replace("RUN", str(run)) for word in words)]) == 2
    assert message in error_line(capsys)
    assert sorted(run.iterdir()) == before


def test_nothing_that_is_there_is_replaced_unasked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "model.safetensors").write_bytes(b"mine")
    assert export(run, to="safetensors") == 2
    assert "is there already: add --overwrite" in error_line(capsys)
    assert (run / "model.safetensors").read_bytes() == b"mine"
    (run / "model.safetensors").unlink()
    (run / "README.md").write_text("# My notes\n")
    assert export(run, to="safetensors") == 2
    assert "README.md was written by hand and a model card would replace it" in error_line(capsys)
    assert (run / "README.md").read_text() == "# My notes\n"
    assert not (run / "model.safetensors").exists()


def test_a_file_that_is_named_has_a_card_of_its_name(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My project\n")
    for name in ("student", "other"):
        assert export(run, "--out", tmp_path / f"{name}.safetensors", to="safetensors") == 0
    assert (tmp_path / "README.md").read_text() == "# My project\n"
    card = (tmp_path / "student.md").read_text()
    assert "student.safetensors" in card
    assert "other.safetensors" not in card
    assert "other.safetensors" in (tmp_path / "other.md").read_text()


def test_a_card_is_replaced_as_long_as_nobody_changed_it(
    exported: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(exported / "README.md", tmp_path / "README.md")
    facts = json.loads((run / "run.json").read_text())
    # A run that goes on says anew where its teacher lies.
    (run / "run.json").write_text(json.dumps(facts | {"seed": 5}))
    assert export(run, "--out", tmp_path, to="safetensors") == 0
    (tmp_path / "model.safetensors").unlink()
    state = load_file(run / "student.safetensors")
    replace_student(run, {key: tensor + 1 for key, tensor in state.items()})
    assert export(run, "--out", tmp_path, to="safetensors") == 2
    assert "is the model card of another run" in error_line(capsys)
    (tmp_path / "README.md").write_text((exported / "README.md").read_text() + "\nMy own remark.\n")
    assert export(run, "--out", tmp_path, to="safetensors") == 2
    assert "README.md was changed by hand" in error_line(capsys)


def test_a_folder_without_a_finished_run_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path / "nowhere") == 2
    assert "nowhere holds no run" in error_line(capsys)
    (run / "result.json").unlink()
    assert export(run) == 2
    assert "has not finished: continue it" in error_line(capsys)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("student.json", "{}"),
        ("student.json", None),
        ("measurement.json", '{"images": "digits.npz"}'),
        ("run.json", '{"settings": {"transfer": 3}}'),
        ("result.json", "[]"),
    ],
)
def test_a_damaged_file_of_the_run_is_told(
    name: str, content: str | None, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).unlink(missing_ok=True)
    if content is not None:
        (run / name).write_text(content)
    assert export(run) == 2
    assert name in error_line(capsys)
    assert not (run / "model.onnx").exists()


def test_a_format_that_does_not_exist_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(run, to="onx") == 2
    assert "no format is called 'onx'; there are onnx, " in error_line(capsys)
    with pytest.raises(SettingsError, match="no format is called 'tflite'; there are "):
        export_student(Folder(run), "tflite", trust_code=True)  # pyright: ignore[reportArgumentType]


def test_what_must_be_installed_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert export(run) == 2
    assert "onnxscript" in (line := error_line(capsys))
    assert "pip install 'beliefmatch[onnx]'" in line


def test_an_int8_file_is_checked_entered_and_shown(run: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(run, "--int8", "--min-agreement", ".5", "--images", images, "--teacher-license", "MIT") == 0
    shown = capsys.readouterr().out
    for words in ("model_int8.onnx gives ", "in 32 bits", "size: ", "latency: ", f"wrote {run / 'model_int8.onnx'}"):
        assert words in shown
    result = RunFolder(run).read_result()
    assert result.exports is not None
    found = result.exports["model_int8.onnx"]
    in_8_bits = found.in_8_bits
    assert in_8_bits is not None
    assert found.student.onnxruntime_latency == in_8_bits.latency
    record = json.loads((run / "model_int8.json").read_text())
    assert (record["latency"], record["float_latency"]) == (in_8_bits.latency, in_8_bits.float_latency)
    assert found.student.bytes == (run / "model_int8.onnx").stat().st_size
    assert found.student.torch_latency is None
    assert found.student.onnxruntime_latency is not None
    assert found.images is not None
    assert (found.images.num_examples, found.teacher_license) == (150, "MIT")
    page = write_report([run]).read_text()
    assert ("8 bits are not faster on this machine" in page) is not in_8_bits.is_faster
    assert "Files in 8 bits" in page
    assert "is in 8 bits, calibrated on inputs" in (run / "README.md").read_text()
    assert export(run, "--int8") == 2
    assert "is there already: add --overwrite" in capsys.readouterr().err


@pytest.mark.long
def test_quantize_enters_its_file_too(run: Path) -> None:
    words = ("--trust-code", "--display", "quiet", "--num-inputs", "32", "--min-agreement", ".5")
    assert main(["quantize", str(run), *words]) == 0
    assert not (run / "README.md").exists()
    assert "Files in 8 bits" in write_report([run]).read_text()


@pytest.mark.parametrize(
    ("words", "to", "message"),
    [
        (("--int8",), "pt2", "--int8 writes ONNX with 8-bit weights, so it needs --to onnx; got --to pt2"),
        (("--min-agreement", ".9"), "onnx", "--min-agreement is for --int8"),
        (("--int8", "--min-agreement", "2"), "onnx", "--min-agreement must be above 0 and at most 1"),
        (("--int8", "--out", "a.bin"), "onnx", "--out a.bin should end in .onnx"),
    ],
)
def test_what_does_not_go_with_int8(
    run: Path, words: tuple[str, ...], to: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(run, *words, to=to) == 2
    assert message in error_line(capsys)
    assert not list(run.glob("*int8*"))
