"""A normalisation that is only a default is said, recorded, and not built into a file unasked."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_command import error_line

from beliefmatch import load_student
from beliefmatch.cli import main
from beliefmatch.cli.printing import PrintableFormatter
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("forked_answers")

DEFAULT = "a default, since neither the user nor the teacher's file gave one."
RAW = "no --mean/--std given; assuming raw pixels in [0, 1]. If your teacher was trained"
MEAN, STD = ("0.1", "0.2", "0.3"), ("0.4", "0.5", "0.6")
MEAN_ALONE = ("--shape", "3", "32", "32", "--mean", "0.5")
"""What leaves the standard deviation to a default."""


def transfer(folder: Path, *words: str) -> int:
    weights = folder.parent / "teacher.safetensors"
    torch.manual_seed(0)
    save_file(make_network("convnet_4", in_channels=3, num_classes=10).state_dict(), weights)
    networks = ("--teacher.architecture", "convnet_4", "--teacher.weights", str(weights))
    small = ("--rounds", "1", "--batch-size", "2", "--source.noise-size", "4", "--source.student-steps", "1")
    student = ("--student.architecture", "convnet_2")
    return main(["transfer", "zero_shot", "--folder", str(folder), *networks, *student, *small, *words])


def export(folder: Path, *words: str, to: str = "pt2") -> int:
    return main(["export", "--trust-code", str(folder), "--to", to, *words])


def recorded(folder: Path) -> list[str | None]:
    run, student = (json.loads((folder / name).read_text()) for name in ("run.json", "student.json"))
    specs = run["settings"]["transfer"]["inputs"], student["inputs"]
    return [spec.get("normalisation_from") for spec in specs]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "assumed"
    assert transfer(folder, *MEAN_ALONE) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copy(finished.parent / "teacher.safetensors", tmp_path)
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "source", "said"),
    [
        (MEAN_ALONE, "default", "assuming mean 0.5 0.5 0.5, std 1. If your teacher was trained with another"),
        (("--shape", "3", "16", "16"), "default", RAW),
        (("--dataset", "cifar10"), "user", None),
        (("--shape", "3", "16", "16", "--mean", *MEAN, "--std", *STD), "user", None),
    ],
)
def test_a_run_records_who_knows_its_normalisation_and_warns_once_where_nobody_does(
    words: tuple[str, ...], source: str, said: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert transfer(tmp_path / "run", *words) == 0
    assert recorded(tmp_path / "run") == [source, source]
    warnings = [text for text in caplog.messages if "normalisation, results will be wrong." in text]
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_a_file_that_takes_pixels_is_refused_before_any_work(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(run.iterdir())
    assert export(run, "--pixels", "uint8") == 2
    line = error_line(capsys)
    assert "the file would normalise pixels by a default of the run (mean 0.5 0.5 0.5, std 1)" in line
    assert "add --mean and --std as the teacher was trained with, or --assume-normalisation if that is right" in line
    assert sorted(run.iterdir()) == before
    assert export(run, "--pixels", "uint8", "--mean", *MEAN) == 2
    assert "a default of the run (mean 0.1 0.2 0.3, std 1)" in error_line(capsys)
    assert export(run, "--pixels", "uint8", "--mean", "0.1", "0.2", "--std", "0.2") == 2
    assert "mean needs one value for each of the 3 channels" in error_line(capsys)
    assert export(run) == 0


def test_what_is_said_with_the_export_is_built_in_and_told(run: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    words = ("--mean", *MEAN, "--std", *STD, "--images", str(tmp_path / "images.npz"))
    assert export(run, "--pixels", "unit", *words) == 0
    found = (RunFolder(run).read_result().exports or {})["model.pt2"]
    assert (found.mean, found.std, found.normalisation_from) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6], "user")
    spec = InputSpec(shape=(3, 32, 32), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    program, stored = torch.export.load(run / "model.pt2").module(), torch.from_numpy(images)
    pixels = stored.permute(0, 3, 1, 2).float() / 255
    expected = load_student(run, trust_code=True)(spec.from_pixels(stored))
    torch.testing.assert_close(program(pixels), expected, atol=1e-4, rtol=1e-4)
    card = " ".join((run / "README.md").read_text().split())
    assert "with mean [0.1, 0.2, 0.3] and standard deviation [0.4, 0.5, 0.6], as the user gave it" in card
    assert "Its normalisation inside: mean 0.1 0.2 0.3, std 0.4 0.5 0.6, as the user gave it." in card
    assert "a default that was not confirmed" not in card
    assert recorded(run) == ["default", "default"]


@pytest.mark.long
def test_the_card_of_an_assumed_normalisation_says_so_and_that_of_a_said_one_too(run: Path, tmp_path: Path) -> None:
    assert export(run, "--pixels", "uint8", "--assume-normalisation") == 0
    card = " ".join((run / "README.md").read_text().split())
    assert f"standard deviation [1.0, 1.0, 1.0], {DEFAULT}" in card
    assert f"inside: mean 0.5 0.5 0.5, std 1, {DEFAULT}" in card
    assert "The normalisation is a default that was not confirmed: if the teacher was trained with another" in card
    assert transfer(tmp_path / "said", "--dataset", "cifar10") == 0
    assert export(tmp_path / "said", "--pixels", "uint8") == 0
    card = " ".join((tmp_path / "said" / "README.md").read_text().split())
    assert "standard deviation [0.2023, 0.1994, 0.201], as the user gave it." in card
    assert "default" not in card


def test_what_is_said_with_the_export_goes_before_the_run_and_the_card_tells_them_apart(tmp_path: Path) -> None:
    assert transfer(tmp_path / "run", "--dataset", "cifar10") == 0
    assert export(tmp_path / "run", "--pixels", "uint8", "--mean", *MEAN, "--std", *STD) == 0
    card = " ".join((tmp_path / "run" / "README.md").read_text().split())
    assert "with mean [0.1, 0.2, 0.3] and standard deviation [0.4, 0.5, 0.6], as the user gave it" in card
    assert f"had another normalisation than the files: {CIFAR10.describe_normalisation()}." in card


@pytest.mark.parametrize("display", ["full", "quiet", "json"])
def test_every_display_carries_every_warning(display: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert transfer(tmp_path / "run", "--shape", "3", "16", "16", "--display", display) == 0
    assert any(text.startswith(RAW) for text in caplog.messages)


def test_a_warning_is_named_as_one() -> None:
    formatter = PrintableFormatter()
    records = {level: logging.LogRecord("a", level, "", 0, "as it is", None, None) for level in (20, 30)}
    assert [formatter.format(record) for record in records.values()] == ["as it is", "Warning: as it is"]
