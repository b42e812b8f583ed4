"""Every example runs as it stands, at a tiny budget, and stays short enough to be read at once."""

import runpy
import sys
from pathlib import Path

import pytest

from shared_folder import DATA

EXAMPLES = Path(__file__).parents[2] / "examples"
BUDGETS = {
    "cifar_resnet.py": ["--rounds", "1", "--batch-size", "8", "--data"],
    "onnx_teacher.py": ["--rounds", "2", "--data"],
    "signals.py": ["--rounds", "2"],
    "tabular_digits.py": ["--rounds", "2"],
    "timm_student.py": ["--rounds", "2", "--batch-size", "8", "--data"],
    "vision_transformer.py": ["--rounds", "20"],
}


# torch's exporter, which one example calls as a user would, warns of what others deprecate.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
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


def test_a_student_of_64_features_keeps_95_percent_of_its_teachers_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tabular_digits.py", "--folder", str(tmp_path / "run")])
    runpy.run_path(str(EXAMPLES / "tabular_digits.py"), run_name="__main__")
    said = dict(
        line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("teacher", "student"))
    )
    assert float(said["student"]) >= 0.95 * float(said["teacher"])
