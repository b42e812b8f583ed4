"""The command on a tiny run, and what a user can get wrong: one clear line, exit code 2, nothing written or lost."""

import io
import json
import os
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file, save_file

from beliefmatch import RunFolder, load_student, measure_run
from beliefmatch.cli import main
from beliefmatch.errors import ExamplesError
from beliefmatch.networks.loading.network import make_network
from tiny import named

TINY: dict[str, Any] = {
    "--teacher.architecture": named("make_conv_teacher"),
    "--teacher.allow-untrained": True,
    "--student.architecture": named("make_dropout_student"),
    "--source.noise-size": 6,
    "--rounds": 4,
    "--batch-size": 8,
    "--accelerator": "cpu",
}


def transfer(folder: Path, recipe: str = "digits", /, **changed: Any) -> int:
    """Run the tiny transfer with some flags changed; None drops a flag, True gives it without a value."""
    flags = (
        TINY | {"--folder": folder} | {f"--{key.replace('__', '.').replace('_', '-')}": v for key, v in changed.items()}
    )
    words = [
        str(part) for flag, v in flags.items() if v is not None for part in ([flag] if v is True else [flag, *_list(v)])
    ]
    return main(["transfer", recipe, *words])


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert transfer(folder) == 0
    return folder


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on the standard error stream."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("beliefmatch: error: ")]
    assert len(lines) == 1
    return lines[0]


def test_a_run_leaves_all_that_the_readme_promises(finished: Path) -> None:
    run = json.loads((finished / "run.json").read_text())
    assert run["settings"]["transfer"]["source"]["type"] == "Adversarial"
    assert run["seed"] == 0
    assert {"torch", "beliefmatch", "python"} <= run["versions"].keys()
    result = json.loads((finished / "result.json").read_text())
    assert list(result) == [
        *("student_accuracy", "teacher_accuracy", "agreement"),
        *("student_parameters", "teacher_parameters", "rounds", "seconds", "student_sha256", "rounds_fraction"),
        *("student_macs", "teacher_macs", "student_bytes", "teacher_bytes", "student_latency", "teacher_latency"),
        *("peak_memory", "student_passes", "teacher_passes", "exports", "collapses"),
    ]
    # Each round: eight examples in one generator step, and eight in each of five student steps, all fresh.
    assert (result["student_passes"], result["teacher_passes"]) == (4 * 8 * 6, 4 * 8 * 6)
    assert result["rounds_fraction"] == 0.01
    assert min(result["student_latency"], result["teacher_latency"], result["peak_memory"]) > 0
    assert (result["student_accuracy"], result["agreement"], result["rounds"]) == (None, None, 4)
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["round"] for row in rows] == [1, 2, 3, 4]
    assert imread(finished / "pseudo" / "round_000004.png").max() > 0
    assert imread(finished / "curves.png").size > 0
    facts = json.loads((finished / "student.json").read_text())
    assert facts["inputs"]["shape"] == [1, 8, 8]
    weights = load_file(finished / "student.safetensors")
    student = load_student(finished, trust_code=True)
    assert all(torch.equal(value, weights[key]) for key, value in student.state_dict().items())


def test_a_finished_run_resumed_stays_as_it_is(finished: Path) -> None:
    before = (finished / "student.safetensors").read_bytes()
    assert transfer(finished, resume=True) == 0
    assert (finished / "student.safetensors").read_bytes() == before


def images(folder: Path, **changed: Any) -> Path:
    random = np.random.default_rng(0)
    arrays = {
        "images": random.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8),
        "labels": random.integers(0, 10, 20, dtype=np.uint8),
    }
    path = folder / "images.npz"
    kept: dict[str, Any] = {key: value for key, value in (arrays | changed).items() if value is not None}
    np.savez(path, **kept)
    return path


def test_measure_prints_a_table_and_enters_the_numbers(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", "--trust-code", str(finished), "--images", str(images(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "measured on 20 examples" in out
    assert "agreement" in out
    result = json.loads((finished / "result.json").read_text())
    assert all(0 <= result[key] <= 1 for key in ("student_accuracy", "teacher_accuracy", "agreement"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((20, 8, 8, 1), np.float32)}, "images.npz: images have dtype float32, expected uint8"),
        ({"images": np.zeros((20, 8, 8), np.uint8)}, r"images have shape \(20, 8, 8\), expected"),
        ({"images": np.zeros((20, 0, 0, 1), np.uint8)}, "images without pixels"),
        ({"images": np.zeros((20, 28, 28, 1), np.uint8)}, "images are 28x28, the network takes 8x8: add --resize"),
        ({"images": np.zeros((20, 8, 8, 3), np.uint8)}, "images have 3 channels, the network takes 1"),
        ({"images": np.zeros((0, 8, 8, 1), np.uint8), "labels": np.zeros(0, np.uint8)}, "there are no images"),
        ({"labels": np.zeros(19, np.uint8)}, r"labels have shape \(19,\), expected \(20,\)"),
        ({"labels": np.zeros(20, np.float64)}, "labels are floating-point numbers, expected integers"),
        ({"labels": np.full(20, 10)}, "there is a label 10, but the network knows classes 0 to 9 only"),
        ({"labels": np.full(20, -1)}, "labels go down to -1"),
        ({"images": np.array([{"a": 1}] * 20, dtype=object)}, "images have dtype object, expected numbers"),
    ],
)
def test_images_that_do_not_fit_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], message: str
) -> None:
    before = (finished / "result.json").read_bytes()
    assert main(["measure", "--trust-code", str(finished), "--images", str(images(tmp_path, **changed))]) == 2
    assert_matches(message, error_line(capsys))
    assert (finished / "result.json").read_bytes() == before


def assert_matches(pattern: str, line: str) -> None:
    __tracebackhide__ = True
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(line)


@pytest.mark.parametrize("content", [None, b"", b"a text file\n", b"PK\x03\x04 but no zip"])
def test_images_that_are_no_npz_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "images.npz"
    if content is not None:
        path.write_bytes(content)
    assert main(["measure", "--trust-code", str(finished), "--images", str(path)]) == 2
    line = error_line(capsys)
    assert str(path) in line
    assert "pickle" not in line


def weights(folder: Path, kind: str) -> Path:
    path = folder / "weights"
    state = make_network("convnet_4", in_channels=1, num_classes=10).state_dict()
    match kind:
        case "text":
            path.write_text("no weights\n")
        case "truncated":
            save_file(state, path)
            path.write_bytes(path.read_bytes()[:-9])
        case "pickle":
            torch.save({"weight": Fraction(1, 2)}, path)
        case "other keys":
            save_file({key.replace("conv", "cnv"): value for key, value in state.items()}, path)
        case "not finite":
            save_file(
                {key: value * float("nan") if value.is_floating_point() else value for key, value in state.items()},
                path,
            )
        case "good":
            save_file(state, path)
    return path


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("missing", {}, "no weights file at"),
        ("truncated", {}, "truncated or damaged"),
        ("text", {}, "neither a safetensors file nor"),
        ("pickle", {}, "is refused: it wants to load fractions"),
        ("other keys", {}, r"keys missing, such as conv1.weight.*\(nearest: cnv1.weight\)"),
        ("not finite", {}, "the teacher returns values that are not finite"),
        ("good", {"student__architecture": named("make_seven_classes")}, "teacher knows 10 classes and the student 7"),
        ("good", {"student__architecture": named("make_tuple")}, "returned tuple of .*, expected logits"),
        ("good", {"student__architecture": "convnet4"}, "nearest are convnet_"),
        ("good", {"teacher__num_classes": 7}, "fc.bias has shape"),
        ("good", {"teacher__num_classes": 0}, "num-classes must be at least 1"),
        ("good", {"rounds": 0}, "--rounds must be above 0"),
        ("good", {"devices": 0}, "devices must be at least 1"),
        ("good", {"source__student_steps": 0}, "--source.student-steps must be above 0"),
    ],
)
def test_a_run_that_cannot_work_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, changed: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "run"
    given = {"teacher__architecture": "convnet_4", "teacher__weights": weights(tmp_path, kind)} | changed
    assert transfer(folder, **given) == 2
    assert_matches(message, error_line(capsys))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (3, 8, 8)}, r"the teacher does not take inputs of shape \(3, 8, 8\)"),
        ({"shape": (1, 8, 8), "taps": "nowhere=0"}, "no module 'nowhere'; the nearest are .*; all: 0, 1, 2"),
        ({"shape": (1, 8, 8), "taps": "0=5"}, "activations cannot be compared"),
        ({"shape": (1, 8, 8), "mean": (0.5, 0.5)}, "mean needs one value for each of the 1 channels"),
    ],
)
def test_inputs_and_taps_that_do_not_fit_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "run"
    assert transfer(folder, "zero_shot", **changed) == 2
    assert_matches(message, error_line(capsys))
    assert not folder.exists()


def test_a_run_is_never_overwritten(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert transfer(finished) == 2
    assert_matches("already holds a run: add --resume to continue it, or name another --folder", error_line(capsys))
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_changed_settings_are_told_field_by_field(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(finished, resume=True, batch_size=4, source__divergence="kl") == 2
    line = error_line(capsys)
    assert "transfer.source.divergence was l1, is kl now" in line
    assert "transfer.batch_size was 8, is 4 now" in line


def pickled(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("checkpoint.pt", b""),
        ("checkpoint.pt", b"hi"),
        ("checkpoint.pt", pickled({"format": 1})),
        ("checkpoint.pt", pickled({"format": 1, "state": {}, "random_states": []})),
        ("checkpoint.pt", pickled([1])),
        ("run.json", b""),
        ("run.json", b"[]"),
        ("run.json", b"{}"),
        ("run.json", b"\xff\xfe"),
    ],
)
def test_a_damaged_file_is_named_when_a_run_continues(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / name).write_bytes(content)
    assert transfer(folder, resume=True) == 2
    assert_matches(f"{name} (is damaged|cannot be read|was written by another version)", error_line(capsys))
    assert (folder / name).read_bytes() == content


@pytest.mark.parametrize("name", ["run.json", "student.json", "result.json", "student.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}"])
def test_a_damaged_file_is_named_when_a_run_is_measured(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / name).write_bytes(content)
    assert main(["measure", "--trust-code", str(folder), "--images", str(images(tmp_path))]) == 2
    assert name in error_line(capsys)


def test_lines_after_a_damaged_one_are_written_again(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for name in ("checkpoint.pt", "checkpoint_previous.pt", "result.json"):
        (folder / name).unlink()
    good = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(good[: len(good) // 2] + b"\xff{")
    assert transfer(folder, resume=True) == 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["round"] for row in rows] == [1, 2, 3, 4]
    assert (folder / "student.safetensors").read_bytes() == (finished / "student.safetensors").read_bytes()


def test_images_of_another_size_are_resized_when_asked(finished: Path, tmp_path: Path) -> None:
    path = images(tmp_path, images=np.zeros((20, 28, 28, 1), np.uint8))
    assert main(["measure", "--trust-code", str(finished), "--images", str(path), "--resize"]) == 0


def test_the_library_refuses_what_the_command_refuses(finished: Path) -> None:
    with pytest.raises(
        ExamplesError,
        match=r"inputs have shape \(n, 8, 8, 1\), .* \(n, 1, 8, 8\) \(images channels",
    ):
        measure_run(RunFolder(finished), torch.zeros(4, 8, 8, 1), torch.zeros(4).long(), trust_code=True)
    with pytest.raises(ExamplesError, match="there is a label 50"):
        measure_run(
            RunFolder(finished), torch.zeros(4, 8, 8, 1, dtype=torch.uint8), torch.full((4,), 50), trust_code=True
        )


def test_one_process_at_a_time_runs_in_a_folder(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(finished)
    with folder.held:
        assert transfer(finished, resume=True) == 2
    assert_matches("another process is running in", error_line(capsys))


def test_pictures_are_of_logged_rounds(tmp_path: Path) -> None:
    assert transfer(tmp_path / "run", rounds=7, log_every=3, picture_every=2) == 0
    logged = {row["round"] for row in RunFolder(tmp_path / "run").read_metrics()}
    pictured = {int(path.stem.removeprefix("round_")) for path in (tmp_path / "run" / "pseudo").iterdir()}
    assert pictured == {2, 4, 6, 7}
    assert pictured <= logged == {2, 3, 4, 6, 7}


@pytest.mark.parametrize("resume", [None, True])
def test_a_folder_with_other_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resume: bool | None
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert transfer(tmp_path, resume=resume) == 2
    assert_matches("is not empty .it holds thesis.tex.", error_line(capsys))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    (tmp_path / "file").write_text("precious")
    assert transfer(tmp_path / place) == 2
    assert str(tmp_path / "file") in error_line(capsys)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_that_is_not_writable_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, and tests may run as root.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert transfer(tmp_path / "run") == 2
    assert_matches("is not writable: name another --folder", error_line(capsys))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    changed = {"optimiser__learning_rate": 1e30, "rounds": 9, "checkpoint_every": 1, "source__student_steps": 1}
    assert transfer(folder, **changed) == 2
    line = error_line(capsys)
    found = re.search(r"stopped being finite in round (\d+)\b.*\. .* The checkpoint is from before it", line)
    assert found, line
    bad = int(found[1])
    kept = torch.load(folder / "checkpoint.pt", weights_only=True)["state"]
    assert kept["round"] < bad
    assert not (folder / "result.json").exists()


def test_a_teacher_whose_weights_changed_is_not_measured_in_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = weights(tmp_path, "good"), tmp_path / "run"
    assert transfer(folder, teacher__architecture="convnet_4", teacher__weights=path) == 0
    weights(tmp_path, "good")
    capsys.readouterr()
    assert main(["measure", "--trust-code", str(folder), "--images", str(images(tmp_path))]) == 2
    assert_matches("the teacher's weights have changed since the run", error_line(capsys))


def test_a_run_is_measured_from_anywhere_and_resumed_after_its_teacher_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights(tmp_path, "good")
    monkeypatch.chdir(tmp_path)
    given = {"teacher__architecture": "convnet_4", "teacher__weights": "weights"}
    assert transfer(Path("run"), **given) == 0
    path = images(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["measure", "../run", "--trust-code", "--images", str(path)]) == 0
    (tmp_path / "weights").rename("moved")
    assert transfer(Path("../run"), **given | {"teacher__weights": "moved"}, resume=True) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["transfer"], "name a recipe"),
        (["transfer", "zero_shoot"], "no recipe is called 'zero_shoot'; did you mean zero_shot"),
        (["measure", "nowhere", "--images", "x.npz"], "nowhere holds no student|nowhere holds no run"),
    ],
)
def test_half_a_command_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert_matches(message, error_line(capsys))


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name}" in told for name in ("demo", "transfer", "measure", "report", "toy", "reproduce"))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("beliefmatch 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "name a command: demo"), (["trnsfer"], "no command is called 'trnsfer'; did you mean transfer?")],
)
def test_a_command_that_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert message in error_line(capsys)
