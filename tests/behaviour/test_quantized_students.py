"""Students in few bits, from the command to the exported file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_students import check_continues, transfer
from safetensors.torch import load_file
from test_command import error_line

import beliefmatch as bm
from beliefmatch import RunFolder, load_student
from beliefmatch.cli import main
from beliefmatch.errors import FolderError, NetworkError, SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.quantization.layers import FakeQuantizedConv2d, quantized_layers
from beliefmatch.networks.quantization.plan import quantization_of
from beliefmatch.quantization.simulated import without_simulation
from beliefmatch.report.page import write_report
from beliefmatch.runs.student_checksum import is_student_whole
from stored_students import write_metadata
from tiny import make_conv_teacher, named


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized") / "run"
    assert transfer(folder, "quantized:w4a8") == 0
    return folder


def test_the_folder_holds_weights_and_a_plan(finished: Path) -> None:
    stored = json.loads((finished / "student.json").read_text())
    assert (stored["architecture"], stored["plan"]) == (named("make_conv_teacher"), None)
    assert {layer["name"] for layer in stored["quantization"]["layers"]} == {"0", "5"}
    weights = load_file(finished / "student.safetensors")
    assert weights["0.weight_log_step"].shape == (8, 1, 1, 1)
    result = RunFolder(finished).read_result()
    assert result.student_parameters == result.teacher_parameters
    assert result.student_bytes is not None
    assert result.teacher_bytes is not None
    assert result.student_bytes < result.teacher_bytes


def test_what_is_loaded_is_what_was_trained(tmp_path: Path) -> None:
    teacher = make_conv_teacher()
    result = bm.compress(
        teacher, "quantized:w4a4", shape=(1, 8, 8), recipe="noise", rounds=2, batch_size=4, folder=tmp_path / "run",
        progress=False,
    )  # fmt: skip
    student, inputs = result.student, torch.randn(3, 1, 8, 8)
    assert isinstance(student.get_submodule("0"), FakeQuantizedConv2d)
    assert quantization_of(student) is None
    assert not student.training
    assert not torch.equal(student.get_parameter("0.weight"), teacher.get_parameter("0.weight"))
    with pytest.raises(NetworkError, match="given in Python"):
        load_student(tmp_path / "run")
    for architecture in (teacher, student):
        assert torch.equal(load_student(tmp_path / "run", architecture=architecture)(inputs), student(inputs))
    for layer in quantized_layers(student):
        for channel in layer.quantized_weight().detach().flatten(1):
            assert len(channel.unique()) <= 2**layer.weight_bits


def test_batch_norm_statistics_stay_those_of_the_teacher(finished: Path) -> None:
    weights, given = load_file(finished / "student.safetensors"), make_conv_teacher().state_dict()
    assert torch.equal(weights["1.running_mean"], given["1.running_mean"])
    assert not torch.equal(weights["0.weight"], given["0.weight"])


def test_a_run_that_was_cut_short_continues_as_if_it_was_not(finished: Path, tmp_path: Path) -> None:
    check_continues(finished, tmp_path / "run", "quantized:w4a8")


def test_other_bits_are_another_run(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(finished, "quantized:w4a4", "--resume") == 2
    assert "student.architecture was quantized:w4a8, is quantized:w4a4 now" in error_line(capsys)


@pytest.mark.parametrize("student", ["quantized:w1a8", "quantized:w4", "quantized:int8"])
def test_a_bad_name_is_one_line_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], student: str
) -> None:
    assert transfer(tmp_path / "run", student) == 2
    assert f"--student {student} must name the bits of weights and of activations" in error_line(capsys)
    assert not (tmp_path / "run").exists()


def test_the_report_says_that_bits_are_simulated(finished: Path, tmp_path: Path) -> None:
    page = write_report([finished], out=tmp_path / "page.html").read_text()
    assert f"quantized:w4a8 of {named('make_conv_teacher')}, 10 classes" in page
    assert "The bits are simulated" in page
    assert "Bits of each layer" in page


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("to", ["pt2", "safetensors"])
def test_it_is_exported_as_a_simulation_or_said_why_not(
    finished: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", finished, "--to", to, "--out", tmp_path / f"student.{to}", "--trust-code", "--display", "quiet"]
    code = main([str(word) for word in words])
    if to == "safetensors":
        assert code == 2
        assert "a quantised student is more than a name and weights" in error_line(capsys)
    else:
        assert code == 0
        assert "its few bits are simulated in 32" in (tmp_path / "student.md").read_text()


def test_fewer_than_8_bits_are_no_file_in_8(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["quantize", finished, "--out", tmp_path / "net.onnx", "--trust-code", "--display", "quiet"]
    assert main([str(word) for word in words]) == 2
    assert "the network simulates 4 bits, and onnxruntime computes static quantisation in 8" in error_line(capsys)
    assert not (tmp_path / "net.onnx").exists()


def test_8_bits_keep_their_weights_in_a_file_of_8() -> None:
    teacher = bm.networks.teacher.Teacher(make_conv_teacher(), InputSpec(shape=(1, 8, 8)))
    student = bm.students.quantized.QuantizedStudent(architecture="quantized:w8a8").build(teacher)
    weights = [layer.quantized_weight().detach() for layer in quantized_layers(student)]
    plain = without_simulation(student)
    assert not quantized_layers(plain)
    assert all(
        torch.equal(weight, plain.get_parameter(f"{name}.weight")) for name, weight in zip("05", weights, strict=True)
    )
    other = bm.students.quantized.QuantizedStudent(architecture="quantized:w8a4").build(teacher)
    with pytest.raises(SettingsError, match="simulates"):
        without_simulation(other)


PLANS: dict[str, Callable[[dict[str, Any]], None]] = {
    r"quantization\.layers\[0\]\.weight_bits is 'x', expected a whole number": lambda plan: plan["layers"][0].update(
        weight_bits="x"
    ),
    r"quantization: the plan has weight_bits 99 for '0': expected 2 to 8": lambda plan: plan["layers"][0].update(
        weight_bits=99
    ),
    r"quantization: the plan quantises 'no', which is not in the network": lambda plan: plan["layers"][0].update(
        name="no"
    ),
    r"quantization\.num_outputs is -1, expected at least 1": lambda plan: plan.update(num_outputs=-1),
    r"quantization\.more is unknown": lambda plan: plan.update(more=1),
}


@pytest.mark.parametrize("message", PLANS)
def test_a_hostile_plan_is_one_line(finished: Path, tmp_path: Path, message: str) -> None:
    for file in ("student.json", "student.safetensors", "run.json", "result.json"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    content = json.loads((tmp_path / "student.json").read_text())
    PLANS[message](content["quantization"])
    write_metadata(tmp_path, content)
    with pytest.raises(FolderError, match=rf"student\.json is damaged: {message}") as caught:
        load_student(tmp_path, trust_code=True)
    assert "\n" not in str(caught.value)


CHANGED: dict[str, Callable[[dict[str, Any]], None]] = {
    "bits of weights": lambda content: content["quantization"]["layers"][0].update(weight_bits=5),
    "bits of activations": lambda content: content["quantization"]["layers"][0].update(activation_bits=7),
    "levels": lambda content: content["quantization"]["layers"][0].update(lowest=-1),
    "a plan": lambda content: content.update(quantization=None),
    "a task": lambda content: content.update(task="multi_label"),
    "an output": lambda content: content.update(output="1"),
    "a mean": lambda content: content["inputs"].update(mean=[0.25]),
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_changed_of_a_student_is_no_other_student(finished: Path, tmp_path: Path, change: str) -> None:
    for file in ("student.json", "student.safetensors", "run.json", "result.json"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    content = json.loads((tmp_path / "student.json").read_text())
    CHANGED[change](content)
    (tmp_path / "student.json").write_text(json.dumps(content))
    with pytest.raises(FolderError, match=r"student\.json is damaged: one of plan, quantization, .* is not as the run"):
        load_student(tmp_path, trust_code=True)
    assert not is_student_whole(RunFolder(tmp_path))


def test_inputs_that_were_changed_in_the_settings_are_named(finished: Path, tmp_path: Path) -> None:
    for file in ("student.json", "student.safetensors", "run.json", "result.json"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    content = json.loads((tmp_path / "run.json").read_text())
    content["settings"]["transfer"]["inputs"].update(normalisation_from="user", shape_from=None)
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert is_student_whole(RunFolder(tmp_path))
    content["settings"]["transfer"]["inputs"].update(std=[0.25])
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(FolderError, match=r"run\.json and student\.json name different inputs: one is damaged"):
        load_student(tmp_path, trust_code=True)


def test_the_plan_of_a_compression_says_that_bits_are_simulated(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("compress", named("make_conv_teacher"), "--student", "quantized:w4a8", "--shape", 1, 8, 8, "--rounds", 1)
    assert main([str(word) for word in (*words, "--folder", tmp_path / "run", "--plan")]) == 0
    printed = capsys.readouterr().out
    assert "its bits are simulated" in printed
    assert "larger than its teacher" not in printed
