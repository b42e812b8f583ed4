"""What the README tells a user to type works as it stands there."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from beliefmatch.networks.loading.network import make_network
from conftest import Command
from shared_folder import ROOT

README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def demo_teacher(tmp_path: Path) -> Path:
    """The file that a demo leaves."""
    file = tmp_path / "runs" / "demo" / "teacher.safetensors"
    file.parent.mkdir(parents=True)
    save_file(make_network("convnet_32", in_channels=1, num_classes=10).state_dict(), file)
    return file


MY_MODEL = """
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""


def test_compress_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(MY_MODEL, made)
    images, labels = torch.randn(32, 3, 32, 32), torch.arange(32) % 10
    names = {"teacher": made["net"](), "student": made["net"](), "test_loader": [(images, labels)]}
    exec(compile(block("python").replace("minutes=10", "rounds=1"), "README.md", "exec"), names)
    assert type(names["result"].student) is nn.Sequential
    assert list(tmp_path.rglob("report.html"))
    assert list(tmp_path.rglob("student.onnx"))


@pytest.mark.long
def test_compress_as_a_command(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_model.py").write_text(MY_MODEL)
    made: dict[str, Any] = {}
    exec(MY_MODEL, made)
    torch.save(made["net"]().state_dict(), tmp_path / "w.pt")
    line = block("sh").replace("\\\n", "").replace("--minutes 10", "--plan")
    assert "student steps" in command(*shlex.split(line)[1:]).stdout


@pytest.mark.usefixtures("demo_teacher")
def test_transfer_as_a_command(command: Command) -> None:
    line = block("bash").replace("\\\n", "").replace("--rounds 20", "--rounds 2")
    assert "the student is in" in command(*shlex.split(line)[1:]).stdout


@pytest.mark.usefixtures("demo_teacher")
def test_transfer_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block("py").replace("rounds=20", "rounds=2"), "README.md", "exec"), names)
    assert type(names["network"]).__name__ == "ConvNet"
    assert (tmp_path / "runs" / "api" / "result.json").is_file()


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", README)
    for target in (first or second for first, second in links):
        if not target.startswith("https://"):
            assert os.path.exists(ROOT / target), target  # noqa: PTH110


def test_lines_are_short() -> None:
    assert not [line for line in README.splitlines() if len(line) > 120]


def test_numbers_are_filled_in() -> None:
    assert "DEMO_" not in README
