"""`beliefmatch measure`, on a run and on two named networks, as a user types it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_command import error_line, transfer

from beliefmatch import RunFolder
from beliefmatch.cli import main
from tiny import named


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert transfer(folder) == 0
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "digits.npz"
    pixels = random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(60) % 10)
    np.savez(path.with_name("bare.npz"), images=pixels)
    return path


NAMES = ("--class-names", *"abcdefghij")
PAIR = (
    *("--teacher.architecture", named("make_conv_teacher"), "--student.architecture", named("make_conv_teacher")),
    *("--shape", "1", "8", "8", "--accelerator", "cpu"),
)


def test_a_run_gets_its_numbers(finished: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--trust-code", str(finished), "--images", str(images)]) == 0
    shown = capsys.readouterr().out
    measured = json.loads((finished / "measurement.json").read_text())
    result = RunFolder(finished).read_result()
    assert measured["student"]["top1"]["value"] == result.student_accuracy
    assert measured["agreement"]["value"] == result.agreement
    assert measured["images"] == "digits.npz"
    assert [row["num_images"] for row in measured["classes"]] == [6] * 10
    assert len(measured["confusion"]) == 10
    assert measured["transition"] is None
    for words in ("student accuracy, %", "calibration error", "agreement, %", "by class", "measured on 60 examples"):
        assert words in shown


@pytest.mark.parametrize(
    "flags",
    [
        ("--mean", "0.1"),
        ("--std", "9"),
        ("--shape", "1", "8", "8"),
        ("--dataset", "mnist"),
        ("--teacher.weights", "none.pt"),
        ("--teacher.outputs", "regression"),
        ("--student.allow-untrained",),
    ],
)
def test_flags_of_named_networks_are_refused_with_a_run(
    flags: tuple[str, ...], finished: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", "--trust-code", str(finished), "--images", str(images), *flags]) == 2
    expected = f"{finished} is a run: its networks and inputs are those of its settings; leave out {flags[0]}"
    assert expected in error_line(capsys)


def test_a_run_is_measured_without_a_word_of_flags_that_it_refuses(
    finished: Path, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert main(["measure", "--trust-code", str(finished), "--images", str(images)]) == 0
    assert "are taken as logits" in caplog.text
    assert "--teacher.outputs" not in caplog.text


def test_without_labels_there_is_agreement_alone(finished: Path, images: Path) -> None:
    bare = images.with_name("bare.npz")
    assert main(["measure", "--trust-code", str(finished), "--images", str(bare), "--display", "quiet"]) == 0
    result = RunFolder(finished).read_result()
    assert (result.student_accuracy, result.teacher_accuracy) == (None, None)
    assert result.agreement is not None


def test_names_of_classes_are_kept_until_others_are_given(finished: Path, images: Path) -> None:
    command = ["measure", "--trust-code", str(finished), "--images", str(images), "--display", "quiet"]
    names = [f"digit {number}" for number in range(10)]
    assert main([*command, "--class-names", *names]) == 0
    found = RunFolder(finished).read_measurement()
    assert found is not None
    assert found.class_names == tuple(names)
    assert 0 < len(found.disagreements) <= 24
    assert main(command) == 0
    assert RunFolder(finished).read_measurement() == found


def test_an_earlier_measurement_is_not_replaced_without_a_word(
    finished: Path, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["measure", "--trust-code", str(finished), "--images"]
    assert main([*command, str(images)]) == 0
    caplog.clear()
    assert main([*command, str(images)]) == 0
    assert "replaces the earlier one in" in caplog.text
    assert "on the same" in caplog.text
    stored, others = np.load(images), tmp_path / "dark.npz"
    np.savez(others, images=stored["images"] // 255, labels=stored["labels"])
    caplog.clear()
    assert main([*command, str(others), "--display", "quiet"]) == 0
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert any(f"was on {len(stored['labels'])} other examples of {images.name}" in message for message in warned)
    assert any("dark.npz look wrongly scaled" in message for message in warned)


def test_another_number_of_names_than_of_classes_is_one_line(
    finished: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["measure", "--trust-code", str(finished), "--images", str(images), "--class-names", "cat", "dog"]
    assert main(command) == 2
    assert "2 names, but the networks know 10 classes" in error_line(capsys)


def test_any_two_networks(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pair.json"
    walk = ("--transition", "4", "--transition-steps", "3", "--guided-by", "teacher")
    assert main(["measure", *PAIR, "--images", str(images), *walk, "--out", str(out), "--display", "json", *NAMES]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["class_names"] == list("abcdefghij")
    assert shown == json.loads(out.read_text())
    assert shown["agreement"]["value"] == 1
    assert shown["divergence"]["value"] == pytest.approx(0, abs=1e-6)
    transition = shown["transition"]
    assert (transition["guided_by"], transition["num_images"], len(transition["guide"])) == ("teacher", 4, 3)
    assert transition["error"]["value"] == pytest.approx(0, abs=1e-6)


def test_transition_curves_of_a_run_survive_a_measurement_without(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    # A student that begins as its teacher and hardly moves agrees with it on enough images.
    same = {"student__architecture": named("make_conv_teacher"), "optimiser__learning_rate": 1e-9, "rounds": 1}
    assert transfer(folder, **same) == 0
    walk = ("--transition", "2", "--transition-steps", "2", "--display", "quiet")
    assert main(["measure", "--trust-code", str(folder), "--images", str(images), *walk]) == 0
    before = json.loads((folder / "measurement.json").read_text())["transition"]
    assert (before["guided_by"], len(before["guide"])) == ("student", 2)
    assert main(["measure", "--trust-code", str(folder), "--images", str(images), "--display", "quiet"]) == 0
    assert json.loads((folder / "measurement.json").read_text())["transition"] == before
    others = tmp_path / images.name
    stored = np.load(images)
    np.savez(others, images=255 - stored["images"], labels=stored["labels"])
    assert main(["measure", "--trust-code", str(folder), "--images", str(others), "--display", "quiet"]) == 0
    assert json.loads((folder / "measurement.json").read_text())["transition"] is None, "of other images"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a run folder, or two networks: --teacher NAME is missing"),
        (PAIR[:2], "name a run folder, or two networks: --student NAME is missing"),
        (("RUN", *PAIR), "has its own two networks: give either a run folder or two networks, not both"),
        ((*PAIR, "--batch-size", "0"), "--batch-size must be at least 1"),
        ((*PAIR, "--transition", "61"), "61 examples on which both networks agree were asked for; there are 60"),
        ((*PAIR, "--transition", "0"), "num_images of transition curves must be above 0"),
        (
            (*PAIR[:2], "--student.architecture", named("make_seven_classes"), *PAIR[4:], "--student.allow-untrained"),
            "the teacher knows 10 classes and the student 7",
        ),
        ((*PAIR[:4], "--shape", "1", "9", "9"), "images are 8x8, the network takes 9x9"),
        ((*PAIR[:4], "--shape", "3", "8", "8"), "does not take inputs of shape"),
        (("nowhere",), "nowhere holds no run"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], message: str, finished: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(finished) if word == "RUN" else word for word in arguments]
    assert main(["measure", *words, "--images", str(images)]) == 2
    assert message in error_line(capsys)


def test_labels_that_the_networks_cannot_give_are_refused(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(images) as file:
        contents: dict[str, Any] = {"images": file["images"], "labels": file["labels"] + 1}
    np.savez(tmp_path / "shifted.npz", **contents)
    assert main(["measure", *PAIR, "--images", str(tmp_path / "shifted.npz")]) == 2
    assert "there is a label 10, but the network knows classes 0 to 9 only" in error_line(capsys)
