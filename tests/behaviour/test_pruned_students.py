"""Students made from their teacher, from the command to the exported file."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_students import SIZES, check_continues, transfer
from safetensors.torch import load_file
from test_command import error_line
from torch import nn

import beliefmatch as bm
from beliefmatch import RunFolder, load_student
from beliefmatch.cli import main
from beliefmatch.errors import FolderError, NetworkError
from beliefmatch.networks.pruning import thinning
from beliefmatch.networks.pruning.sensitivity import measure_sensitivity
from beliefmatch.report.page import write_report
from beliefmatch.runs.pruning import read_sensitivity
from beliefmatch.training import recorder, sensitivity
from stored_students import write_metadata
from tiny import make_conv_teacher, named


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pruned") / "run"
    assert transfer(folder, "thin:macs=0.5") == 0
    return folder


def test_the_folder_holds_weights_and_a_plan(finished: Path) -> None:
    stored = json.loads((finished / "student.json").read_text())
    assert stored["architecture"] == named("make_conv_teacher")
    assert [layer["name"] for layer in stored["plan"]["layers"]] == ["0", "1", "5"]
    assert load_file(finished / "student.safetensors")["0.weight"].shape == (4, 1, 3, 3)
    assert json.loads((finished / "run.json").read_text())["settings"]["transfer"]["student"]["type"] == "PrunedStudent"


def test_it_is_loaded_without_torch_pruning_and_holds_nothing_of_ours(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    student = load_student(finished, trust_code=True)
    assert all(
        torch.equal(tensor, student.state_dict()[name])
        for name, tensor in load_file(finished / "student.safetensors").items()
    )
    assert student(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    assert b"beliefmatch" not in pickle.dumps(student)


def test_code_that_a_plan_is_for_is_imported_on_trust_alone(finished: Path) -> None:
    with pytest.raises(FolderError, match="names Python code"):
        load_student(finished)


def test_a_run_that_was_cut_short_continues_as_if_it_was_not(finished: Path, tmp_path: Path) -> None:
    check_continues(finished, tmp_path / "run", "thin:0.5")


def test_another_part_is_another_run(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(finished, "thin:0.6", "--resume") == 2
    assert "student.architecture was thin:0.5, is thin:0.6 now" in error_line(capsys)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("to", ["pt2", "safetensors"])
def test_it_is_exported_or_said_why_not(
    finished: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", finished, "--to", to, "--out", tmp_path / f"student.{to}", "--trust-code", "--display", "quiet"]
    code = main([str(word) for word in words])
    if to == "safetensors":
        assert code == 2
        assert "a pruned student" in error_line(capsys)
    else:
        assert code == 0
        assert (tmp_path / "student.pt2").is_file()


def test_it_is_reported_with_what_its_layers_lost(finished: Path) -> None:
    assert main(["report", str(finished)]) == 0
    page = (finished / "report.html").read_text()
    assert f"thin:0.5 of {named('make_conv_teacher')}, 10 classes" in page
    assert "Channels that each layer keeps" in page


def test_a_given_teacher_gives_a_student_and_is_given_again(tmp_path: Path) -> None:
    teacher = make_conv_teacher()
    result = bm.compress(
        teacher, "thin:0.5", shape=(1, 8, 8), recipe="noise", rounds=1, batch_size=4, folder=tmp_path, progress=False
    )
    student = result.student
    assert student(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(NetworkError, match="given in Python"):
        load_student(tmp_path)
    inputs = torch.randn(3, 1, 8, 8)
    for architecture in (teacher, make_conv_teacher, student):
        assert torch.equal(load_student(tmp_path, architecture=architecture)(inputs), student(inputs))
    measured = bm.measure_run(
        RunFolder(tmp_path),
        bm.Inputs(inputs=torch.randn(8, 1, 8, 8)),
        given=bm.GivenNetworks(teacher=teacher, student=teacher),
    )
    assert measured.agreement is not None


PLANS: dict[str, Callable[[dict[str, Any]], None]] = {
    r"plan\.layers\[0\]\.outputs\[0\] is 'x', expected a whole number": lambda plan: plan["layers"][0].update(
        outputs=["x"]
    ),
    r"plan: the plan keeps outputs of '0' .* from 0 to 7": lambda plan: plan["layers"][0].update(outputs=[8]),
    r"plan: the plan narrows 'no', which is not in the network": lambda plan: plan["layers"][0].update(name="no"),
    r"plan: the plan drops 'no', which is not in the network": lambda plan: plan.update(dropped=["no"]),
    r"plan\.num_outputs is -1, expected at least 1": lambda plan: plan.update(num_outputs=-1),
    r"plan\.more is unknown": lambda plan: plan.update(more=1),
}


@pytest.mark.parametrize("message", PLANS)
def test_a_hostile_plan_is_one_line(finished: Path, tmp_path: Path, message: str) -> None:
    for file in ("student.json", "student.safetensors", "run.json", "result.json"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    content = json.loads((tmp_path / "student.json").read_text())
    PLANS[message](content["plan"])
    write_metadata(tmp_path, content)
    with pytest.raises(FolderError, match=rf"student\.json is damaged: {message}") as caught:
        load_student(tmp_path, trust_code=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("thin:1.5", "--student thin:1.5 must name the part that is kept"),
        ("thin:size=0.5", "--student thin:size=0.5 keeps a part of 'size'"),
        ("thin:0.01", "at least 0.125 of the MACs of Sequential are left"),
        ("shallow:0.5", "nothing in Sequential can be dropped"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], student: str, message: str
) -> None:
    assert transfer(tmp_path / "run", student) == 2
    assert message in error_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_program_cannot_be_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = torch.export.export(make_conv_teacher().eval(), (torch.zeros(2, 1, 8, 8),))
    torch.export.save(exported, tmp_path / "teacher.pt2")
    for student in ("thin:0.5", "shallow:0.5"):
        words = ("transfer", "noise", "--teacher", tmp_path / "teacher.pt2", "--student", student, *SIZES)
        assert main([str(word) for word in (*words, "--folder", tmp_path / "run")]) == 2
        assert "a program, an .onnx or .pt2 file, cannot be pruned" in error_line(capsys)


def test_the_plan_of_a_compression_says_how_it_begins(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("compress", named("make_conv_teacher"), "--student", "thin:0.5", "--shape", 1, 8, 8, "--rounds", 1)
    assert main([str(word) for word in (*words, "--folder", tmp_path / "run", "--plan")]) == 0
    assert "begins with what is left of the teacher's weights" in capsys.readouterr().out


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x).relu()


def test_a_shallow_student_is_stored_by_the_names_of_its_lost_blocks(tmp_path: Path) -> None:
    teacher = nn.Sequential(Block(), Block(), Block(), nn.Linear(6, 4))
    result = bm.compress(
        teacher, "shallow:0.6", shape=(6,), recipe="noise", rounds=1, batch_size=4, folder=tmp_path, progress=False
    )
    dropped = json.loads((tmp_path / "student.json").read_text())["plan"]["dropped"]
    assert len(dropped) == 2
    assert all(isinstance(result.student.get_submodule(name), nn.Identity) for name in dropped)


def test_a_part_of_the_latency_is_measured_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that continues takes what it was begun with, whatever the machine is now."""
    monkeypatch.setattr(thinning, "measure_latency", lambda pair, *_, **__: [1.0, 0.1 * pair[1][0].out_channels])
    folder = tmp_path / "run"
    monkeypatch.setattr(recorder.Recorder, "write_row", interrupted)
    assert transfer(folder, "thin:latency=0.5") == 130
    monkeypatch.undo()
    begun = json.loads((folder / "plan.json").read_text())
    assert begun["layers"]
    monkeypatch.setattr(thinning, "measure_latency", lambda *_, **__: pytest.fail("it is measured again"))
    assert transfer(folder, "thin:latency=0.5", "--resume") == 0
    assert json.loads((folder / "student.json").read_text())["plan"] == begun


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_report_shows_the_sensitivity_of_the_teacher(finished: Path, tmp_path: Path) -> None:
    found = read_sensitivity(RunFolder(finished))
    assert found is not None
    assert ([group.name for group in found.groups], found.num_compared, found.blocks) == (["0"], 256, ())
    teacher, spec = make_conv_teacher().eval(), bm.InputSpec(shape=(1, 8, 8))
    assert measure_sensitivity(teacher, spec, with_blocks=False) == found
    page = write_report([finished], out=tmp_path / "page.html").read_text()
    for words in ("Sensitivity of the teacher to channels", "Agreement without a part of each group", "without 75 %"):
        assert words in page
    assert "Sensitivity of the teacher to blocks" not in page
    (finished / "sensitivity.json").rename(tmp_path / "kept.json")
    assert transfer(finished, "thin:macs=0.5", "--resume") == 0
    assert not (finished / "sensitivity.json").exists()
    assert "Sensitivity of the teacher" not in write_report([finished], out=tmp_path / "page.html").read_text()
    (tmp_path / "kept.json").rename(finished / "sensitivity.json")


@pytest.mark.parametrize("limit", ["MOST_LAYERS", "AT_MOST"])
def test_the_sensitivity_is_left_out_where_it_costs_much(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, limit, 1)
    assert transfer(tmp_path / "run", "thin:0.5") == 0
    assert not (tmp_path / "run" / "sensitivity.json").exists()
