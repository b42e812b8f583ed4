"""Every example runs as it stands, at a tiny budget, and stays short enough to be read at once."""

import runpy
import sys
from pathlib import Path

import pytest

from beliefmatch import Result, RunFolder
from shared_folder import DATA

EXAMPLES = Path(__file__).parents[2] / "examples"
BUDGETS = {
    "cifar_resnet.py": ["--rounds", "1", "--batch-size", "8", "--test-images", "500", "--data"],
    "onnx_teacher.py": ["--rounds", "2", "--data"],
    "pruned_student.py": ["--rounds", "1"],
    "tabular_digits.py": ["--rounds", "2"],
    "timm_student.py": ["--rounds", "2", "--batch-size", "8", "--data"],
    "vision_transformer.py": ["--rounds", "20"],
}
SLOW = {"cifar_resnet.py", "onnx_teacher.py", "pruned_student.py", "timm_student.py", "vision_transformer.py"}


# torch's exporter, which one example calls as a user would, warns of what others deprecate.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in sorted(BUDGETS)]
)
def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = list(BUDGETS[name])
    if arguments[-1] == "--data":
        if not DATA.is_dir():
            pytest.skip(f"no shared data at {DATA} (set BELIEFMATCH_SHARED)")
        arguments.append(str(DATA))
    monkeypatch.setattr(sys, "argv", [name, *arguments, "--folder", str(tmp_path / "run")])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert (tmp_path / "run" / "student.safetensors").is_file()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_under_forty_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 40


def test_every_example_runs_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*BUDGETS, "quantized_network.py", "signals.py"}


@pytest.mark.long
def test_a_network_in_8_bits_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quantized_network.py", "--num-inputs", "64", "--folder", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "quantized_network.py"), run_name="__main__")
    lines = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines() if ": accuracy" in line]
    in_32, in_8 = (float(number) for _, number in lines)
    assert in_32 > 0.85
    assert abs(in_32 - in_8) < 0.02
    assert (tmp_path / "digits.onnx").is_file()


@pytest.mark.long
def test_a_student_of_64_features_keeps_95_percent_of_its_teachers_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, result = measured("tabular_digits.py", tmp_path, monkeypatch, capsys)
    assert result.student_accuracy is not None
    assert result.teacher_accuracy is not None
    assert result.student_accuracy >= 0.95 * result.teacher_accuracy > 0.85
    assert said == {"teacher": f"{result.teacher_accuracy:.3f}", "student": f"{result.student_accuracy:.3f}"}


@pytest.mark.long
def test_the_teacher_of_signals_knows_them_and_both_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, result = measured("signals.py", tmp_path, monkeypatch, capsys, "--rounds", "2")
    assert (result.teacher_accuracy or 0) > 0.9
    assert said["student"] == f"{result.student_accuracy:.3f}"


def measured(
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *words: str,
) -> tuple[dict[str, str], Result]:
    """Run an example; give what it printed of both networks, and what its run folder says."""
    monkeypatch.setattr(sys, "argv", [name, *words, "--folder", str(folder / "run")])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("teacher", "student"))]
    return dict(line.split() for line in lines), RunFolder(folder / "run").read_result()
