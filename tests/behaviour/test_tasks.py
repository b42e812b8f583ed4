"""Labels and numbers, from the command that compresses to the file that is deployed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from beliefmatch.cli import main
from beliefmatch.runs.folder import RunFolder
from tasks_of_networks import make_labels, make_numbers, task_network

pytestmark = pytest.mark.usefixtures("forked_answers")

KINDS = {"multi_label": make_labels, "regression": make_numbers}
SMALL = ("--shape", "12", "--rounds", "2", "--batch-size", "16")


def stored(folder: Path, teacher: nn.Module, kind: str) -> Path:
    inputs = torch.randn(30, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = teacher(inputs)
    labels = (outputs > 0.5).long() if kind == "multi_label" else outputs
    np.savez(folder / "examples.npz", inputs=inputs.numpy(), labels=labels.numpy())
    return folder / "examples.npz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_of_each_task_from_the_command_to_the_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = KINDS[kind]()
    run, name = tmp_path / "run", task_network(KINDS[kind].__name__)
    words = [name, "--outputs", kind, "--student", "mlp_8", "--folder", str(run)]
    assert main(["compress", *words, *SMALL]) == 0
    assert RunFolder(run).read_student().task == kind
    assert ("accuracy of labels" if kind == "multi_label" else "mean absolute error") in capsys.readouterr().out
    assert main(["measure", "--trust-code", str(run), "--images", str(stored(tmp_path, teacher, kind))]) == 0
    told = capsys.readouterr().out
    assert ("macro F1" if kind == "multi_label" else "mean absolute error") in told
    assert ("bootstrap of F1" if kind == "multi_label" else "bootstrap of errors and R²") in told
    measured = RunFolder(run).read_measurement()
    assert measured is not None
    assert measured.task == kind
    for to in ("pt2", "safetensors"):
        assert main(["export", "--trust-code", str(run), "--to", to, "--images", str(tmp_path / "examples.npz")]) == 0
    card = (run / "README.md").read_text()
    assert ("before any sigmoid" if kind == "multi_label" else "2 numbers to predict, in the teacher's order") in card
    assert ("| macro F1, against the teacher's |" if kind == "multi_label" else "| R² | 1 (1 to 1) |") in card
    assert " class" not in card
    np.savez(tmp_path / "unlabelled.npz", inputs=np.load(tmp_path / "examples.npz")["inputs"])
    assert main(["measure", "--trust-code", str(run), "--images", str(tmp_path / "unlabelled.npz")]) == 0
    assert main(["export", "--trust-code", str(run), "--to", "safetensors", "--overwrite"]) == 0
    assert "against the teacher's |  | " in (run / "README.md").read_text()
    assert main(["report", str(run)]) == 0
    page = re.sub(r"<[^>]+>", " ", (run / "report.html").read_text())
    assert ("of the labels alike" if kind == "multi_label" else "explain the teacher") in page
    assert "same class" not in page
    capsys.readouterr()
    assert main(["inspect", name, "--outputs", kind, "--shape", "12", "--display", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_plan_names_the_task(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = task_network(KINDS[kind].__name__)
    words = [name, "--outputs", kind, "--student", "mlp_8", "--folder", str(tmp_path / "run"), "--plan"]
    assert main(["compress", *words, *SMALL]) == 0
    wanted = "labels        4, of a multi-label" if kind == "multi_label" else "numbers       2, of a regression"
    told = capsys.readouterr()
    assert wanted in told.out + told.err


@pytest.mark.parametrize("kind", KINDS)
def test_recipes_for_classes_refuse_in_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = task_network(KINDS[kind].__name__)
    words = ["--teacher", name, "--teacher.outputs", kind, "--student", "mlp_8", "--folder", str(tmp_path / "run")]
    assert main(["transfer", "dafl", *words, *SMALL]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert "dafl is for teachers of whose classes one is right" in told[-1]
    assert "take best, zero_shot, dfad, noise or unlabelled" in told[-1]


def test_two_named_networks_are_measured_as_the_teacher_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = stored(tmp_path, make_numbers(), "regression")
    name = task_network("make_numbers")
    words = ["--teacher", name, "--teacher.outputs", "regression", "--student", name, "--shape", "12"]
    assert main(["measure", *words, "--images", str(data), "--display", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"]["pair"]["r2"]["value"] == 1


def test_quantising_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "model.onnx")
    words = [task_network("make_numbers"), "--outputs", "regression", "--shape", "12", "--out", out]
    assert main(["quantize", *words]) == 2
    assert "quantize is for classifiers of whose classes one is right" in capsys.readouterr().err
