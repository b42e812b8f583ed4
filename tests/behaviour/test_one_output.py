"""Networks with one output for two classes, as teachers and as students, from a run to the file that is deployed."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from test_command import error_line, transfer

from beliefmatch import RunFolder, load_model, load_student
from beliefmatch.cli import main
from beliefmatch.networks.loading.network import make_network
from beliefmatch.training.student_files import load_student_with_logits
from odd_networks import make_logit, make_sigmoid, odd

pytestmark = pytest.mark.usefixtures("forked_answers")


def exported(folder: Path, suffix: str) -> Path:
    """Write a network that ends in a sigmoid as a program: for any number of examples, or for three."""
    path, example = folder / f"teacher.{suffix}", (torch.randn(3, 1, 8, 8),)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if suffix == "pt2":
            torch.export.save(torch.export.export(make_sigmoid(), example), path)
        else:
            free = {"x": {0: torch.export.Dim("batch")}}
            torch.onnx.export(make_sigmoid(), example, path, dynamo=True, verbose=False, dynamic_shapes=free)
    return path


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_a_program_that_ends_in_a_sigmoid_teaches_two_classes(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = exported(tmp_path, suffix)
    batch = torch.randn(5, 1, 8, 8)
    logits = load_model(str(teacher), shape=(1, 8, 8), outputs="sigmoid")(batch)
    torch.testing.assert_close(logits, torch.cat([torch.zeros(5, 1), make_logit()(batch)], dim=1), atol=1e-3, rtol=1e-3)
    caplog.clear()
    networks = {"teacher__architecture": teacher, "teacher__outputs": "sigmoid", "student__architecture": "convnet_4"}
    assert transfer(tmp_path / "run", **networks) == 0
    assert [line for line in caplog.messages if "teacher" in line and "taken as" in line] == [
        "the teacher returns probabilities of a sigmoid: their log-odds, of at most 16.6, are taken as logits",
        "the teacher has one output: it is taken as the logit of class 1, and 0 as that of class 0",
    ]
    assert load_student(tmp_path / "run", trust_code=True)(batch).shape == (5, 1)


@pytest.mark.parametrize(
    ("student", "outputs", "formats"),
    [("make_logit", "logits", ["pt2"]), ("make_sigmoid", "sigmoid", ["onnx", "safetensors"])],
)
def test_a_student_with_one_output_is_trained_measured_and_deployed(
    tmp_path: Path, student: str, outputs: str, formats: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run, images = tmp_path / "run", tmp_path / "images.npz"
    stored = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    np.savez(images, images=stored, labels=np.arange(20) % 2)
    teacher = {"teacher__architecture": odd("make_sigmoid"), "teacher__outputs": "sigmoid"}
    assert transfer(run, **teacher, student__architecture=odd(student), student__outputs=outputs) == 0
    assert "between 0 and 1" not in caplog.text
    assert main(["measure", "--trust-code", str(run), "--images", str(images)]) == 0
    assert RunFolder(run).read_result().student_accuracy is not None
    for to in formats:
        assert main(["export", "--trust-code", str(run), "--to", to]) == 0
    assert "It gives 2 logits" in (run / "README.md").read_text()
    batch = torch.randn(4, 1, 8, 8)
    own, logits = (load(run, trust_code=True)(batch) for load in (load_student, load_student_with_logits))
    assert own.shape == ((4,) if student == "make_sigmoid" else (4, 1))
    expected = own if student == "make_sigmoid" else own.sigmoid().squeeze(1)
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], expected)


def test_a_student_with_other_classes_is_told_that_one_output_knows_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transfer(tmp_path / "run", teacher__architecture=odd("make_logit")) == 2
    message = "the teacher knows 2 classes and the student 10; they must be equal; a network with one output knows two"
    assert message in error_line(capsys)


def test_an_architecture_of_one_output_takes_its_weights(tmp_path: Path) -> None:
    state = make_network("convnet_4", in_channels=1, num_classes=1).state_dict()
    torch.save(state, tmp_path / "w.pt")
    network = load_model("convnet_4", weights=tmp_path / "w.pt", num_classes=1, shape=(1, 8, 8))
    assert network(torch.randn(3, 1, 8, 8)).shape == (3, 2)
