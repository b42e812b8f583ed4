"""Vectors and signals through the command: measured, exported, compared and reported as images are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_command import error_line

import beliefmatch as bm
import tiny
from beliefmatch.cli import main
from beliefmatch.recipes import few_shot, unlabelled
from beliefmatch.studies import kept_timings
from beliefmatch.training.budget import Timing
from tiny import named

pytestmark = pytest.mark.usefixtures("forked_answers")

KINDS = {"vectors": ("make_mlp_teacher", (12,)), "signals": ("make_signal_network", (2, 33))}


def networks(kind: str, folder: Path) -> list[str]:
    """Name a teacher with weights that stay, and a student that begins as its teacher, so that the two agree."""
    function, shape = KINDS[kind]
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        save(function, weights)
    architecture = named(function)
    words = ["--teacher.architecture", architecture, "--teacher.weights", str(weights)]
    words += ["--student.architecture", architecture, "--student.weights", str(weights)]
    return [*words, "--shape", *map(str, shape)]


def save(function: str, path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(getattr(tiny, function)().state_dict(), path)


def stored(path: Path, kind: str) -> Path:
    """Store sixty inputs of a kind with labels that both networks know."""
    inputs = np.random.default_rng(0).standard_normal((60, *KINDS[kind][1]))
    np.savez(path, inputs=inputs, labels=np.arange(60) % 4)
    return path


@pytest.fixture(scope="module", params=list(KINDS))
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of each kind, measured by the command; and what it was measured on."""
    place = tmp_path_factory.mktemp(request.param)
    folder, data = place / "run", stored(place / "some.npz", request.param)
    words = ["--folder", str(folder), *networks(request.param, place), "--rounds", "2", "--batch-size", "4"]
    words += ["--source.noise-size", "6", "--source.student-steps", "1", "--optimiser.learning-rate", "1e-9"]
    assert main(["transfer", "zero_shot", *words, "--accelerator", "cpu", "--display", "quiet"]) == 0
    walk = ["--transition", "3", "--transition-steps", "4"]
    assert main(["measure", "--trust-code", str(folder), "--images", str(data), *walk, "--display", "quiet"]) == 0
    return folder, data


def test_every_number_is_there(measured: tuple[Path, Path]) -> None:
    folder, data = measured
    found = json.loads((folder / "measurement.json").read_text())
    result = bm.RunFolder(folder).read_result()
    assert (found["images"], found["num_images"]) == (data.name, 60)
    assert result.teacher_accuracy == found["teacher"]["top1"]["value"]
    assert result.student_accuracy == found["student"]["top1"]["value"]
    assert result.agreement == found["agreement"]["value"] > 0.5
    assert len(found["classes"]) == len(found["confusion"])
    assert (found["transition"]["num_images"], len(found["transition"]["guide"])) == (3, 4)
    assert found["student"]["calibration_error"]["value"] > 0


def test_a_file_is_held_to_the_student_on_them_and_the_card_says_so(measured: tuple[Path, Path]) -> None:
    folder, data = measured
    assert (
        main(["export", "--trust-code", str(folder), "--to", "onnx", "--images", str(data), "--display", "quiet"]) == 0
    )
    exports = bm.RunFolder(folder).read_result().exports
    assert exports is not None
    check = exports["model.onnx"].images
    assert check is not None
    assert (check.name, check.num_examples, check.agreement) == (data.name, 60, 1)
    assert check.accuracy == pytest.approx(bm.RunFolder(folder).read_result().student_accuracy)
    card = (folder / "README.md").read_text()
    assert "On 60 examples of `some.npz`, but for the mean transition error, with 95 % intervals" in card
    assert "accuracy of `model.onnx` on 60 examples of some.npz" in card
    assert "Nothing was measured" not in card
    assert "images" not in card


def test_the_report_says_what_was_measured(measured: tuple[Path, Path]) -> None:
    folder, _ = measured
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    for words in ("Measured on real data", "60 examples of some.npz", "Transition curves", "From examples on which"):
        assert words in page


@pytest.mark.parametrize("kind", list(KINDS))
def test_recipes_are_compared_on_them(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def calibrated(*_: Any) -> Timing:
        return Timing(rounds=2, seconds_per_round=0.5, start_seconds=0.0, device="cpu", threads=1)

    monkeypatch.setattr(kept_timings, "time_rounds", calibrated)
    data, folder = stored(tmp_path / "some.npz", kind), tmp_path / "compared"
    words = [*networks(kind, tmp_path), "--minutes", "1", "--seeds", "0", "--batch-size", "4", "--accelerator", "cpu"]
    common = ["compare", "noise", *words, "--folder", str(folder), "--display", "quiet"]
    assert main([*common, "--images", str(data)]) == 0
    result = bm.RunFolder(folder / "noise" / "seed_0").read_result()
    assert result.student_accuracy is not None
    assert "60 examples of some.npz" in (folder / "report.html").read_text()


def test_compare_refuses_another_shape_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*networks("vectors", tmp_path), "--minutes", "1", "--folder", str(tmp_path / "compared")]
    data = stored(tmp_path / "some.npz", "signals")
    assert main(["compare", "noise", *words, "--images", str(data)]) == 2
    assert "inputs have shape (n, 2, 33), the network takes (n, 12)" in error_line(capsys)
    assert not (tmp_path / "compared").exists()


def test_without_labels_there_is_agreement_alone(measured: tuple[Path, Path], tmp_path: Path) -> None:
    folder, data = measured
    with np.load(data) as file:
        np.savez(tmp_path / "bare.npz", inputs=file["inputs"])
    out = tmp_path / "found.json"
    words = ["--images", str(tmp_path / "bare.npz"), "--out", str(out), "--display", "quiet"]
    kind = "vectors" if "vectors" in str(folder) else "signals"
    assert main(["measure", *networks(kind, folder.parent), *words]) == 0
    found = json.loads(out.read_text())
    assert found["teacher"] is None
    assert found["agreement"]["value"] == 1


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("vectors")
    words = [*networks("vectors", place), "--rounds", "1", "--batch-size", "4", "--accelerator", "cpu"]
    words += ["--source.student-steps", "1", "--display", "quiet", "--folder", str(place / "run")]
    assert main(["transfer", "zero_shot", *words]) == 0
    return place / "run"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"inputs": np.zeros((4, 11))}, "inputs have shape (n, 11), the network takes (n, 12)"),
    ({"inputs": np.full((4, 12), np.nan)}, "4 of 4 inputs have values that are not finite"),
    ({"inputs": np.zeros((4, 12)), "images": np.zeros((4, 8, 8, 1), np.uint8)}, "has both 'images' and 'inputs'"),
    ({"inputs": np.zeros((4, 12)), "labels": np.arange(4) + 7}, "there is a label 10, but the network knows"),
    ({"images": np.zeros((4, 8, 8, 1), np.uint8)}, "which images cannot give: store an array inputs (n, 12)"),
    ({"features": np.zeros((4, 12))}, "has no array 'images' or 'inputs'"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_a_mistake_is_one_line(
    vectors: Path, arrays: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    exporting = ("--to", "onnx", "--out", str(tmp_path / "file.onnx"))
    for command, *words in (("measure",), ("export", *exporting)):
        assert main([command, str(vectors), "--trust-code", *words, "--images", str(tmp_path / "bad.npz")]) == 2
        assert message in error_line(capsys)
    assert not (tmp_path / "file.onnx").exists()


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("recipe", "source"), [(few_shot, bm.FewShot), (unlabelled, bm.Unlabelled)])
def test_baselines_on_real_data_learn_from_them(recipe: Any, source: Any, kind: str, tmp_path: Path) -> None:
    function, shape = KINDS[kind]
    save(function, tmp_path / "weights.safetensors")
    transfer = recipe(
        bm.Setup(
            teacher=bm.Network(architecture=named(function), weights=tmp_path / "weights.safetensors"),
            student=bm.NamedStudent(architecture=named(function)),
            shape=shape,
            rounds=2,
            batch_size=4,
        ),
        source=source(images=stored(tmp_path / "some.npz", kind)),
    )
    assert bm.run(transfer, bm.RunOptions(folder=tmp_path / "run", accelerator="cpu")).rounds == 2


def test_crops_of_vectors_are_refused(tmp_path: Path) -> None:
    transfer = few_shot(
        bm.Setup(
            teacher=bm.Network(architecture=named("make_mlp_teacher")),
            student=bm.NamedStudent(architecture=named("make_mlp_student")),
            shape=(12,),
            rounds=1,
        ),
        source=bm.FewShot(images=stored(tmp_path / "some.npz", "vectors"), augmentation="crop_flip"),
    )
    with pytest.raises(bm.BeliefMatchError, match=r"crop_flip takes images, and inputs of shape \(12,\) are no images"):
        bm.run(transfer, bm.RunOptions(folder=tmp_path / "run", accelerator="cpu"))
