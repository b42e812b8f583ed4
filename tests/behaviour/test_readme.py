"""What the README tells a user to type works as it stands there."""

import functools
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from beliefmatch.cli import COMMANDS, main
from beliefmatch.errors import SettingsError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.training.transfer import Transfer
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


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_of(page: Path) -> list[list[str]]:
    """Return the words of each command in the blocks of a page, without the name of the program."""
    blocks = "".join(re.findall(r"```\w*\n(.*?)```", page.read_text(), flags=re.DOTALL)).replace("\\\n", "")
    lines = re.findall(r"^(?:\$ )?beliefmatch (.*)$", blocks, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)], ids=lambda page: page.name)
def test_every_flag_of_a_page_is_one(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_model.py").touch()
    understood: list[str] = []

    def understand(transfer: Transfer, *_: object, **__: object) -> None:
        understood.append(transfer.recipe)
        raise SettingsError("understood")

    monkeypatch.setattr("beliefmatch.training.budget.choose_rounds", understand)
    for name, command in COMMANDS.items():
        said = functools.wraps(command)(lambda *_, name=name, **__: understood.append(name))
        monkeypatch.setitem(COMMANDS, name, said)
    words = commands_of(page)
    for each in words:
        assert main(each) == (2 if each[0] == "transfer" else 0), each
    assert understood == [each[1] if each[0] == "transfer" else each[0] for each in words]


@pytest.mark.long
@pytest.mark.usefixtures("forked_answers")
def test_measure_report_quantize_and_export_as_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_model.py").write_text(MY_MODEL)
    made: dict[str, Any] = {}
    exec(MY_MODEL, made)
    torch.save(made["net"]().state_dict(), "w.pt")
    for name, file in (("wide_resnet_40_1", "teacher.pt"), ("wide_resnet_16_1", "student.pt"), ("mlp_8", "mlp.pt")):
        torch.save(make_network(name, in_channels=3, num_classes=10).state_dict(), file)
    random = np.random.default_rng(0)
    np.savez("test.npz", images=random.integers(0, 256, (8, 32, 32, 3), np.uint8), labels=np.arange(8))
    np.savez("features.npz", inputs=random.standard_normal((8, 3)), labels=np.arange(8))
    image = ("convnet_4", "--shape", "3", "32", "32", "--mean", ".5", "--std", ".2")
    torch.save(make_network("convnet_4", in_channels=3, num_classes=10).state_dict(), "convnet.pt")
    small = ("--rounds", "1", "--batch-size", "4", "--recipe", "noise")
    for name in ("wrn", "seed0", "seed1", "seed2"):
        words = (*image, "--weights", "convnet.pt", "--student", "convnet_2", "--folder", f"runs/{name}")
        assert main(["compress", *words, *small, "--seed", "1" if name == "seed1" else "0"]) == 0
    tabular = ("mlp_8", "--weights", "mlp.pt", "--shape", "3", "--student", "mlp_4", "--folder", "runs/tabular")
    assert main(["compress", *tabular, *small]) == 0
    done = {"measure", "report", "quantize", "export"}
    words = [each for each in commands_of(ROOT / "README.md") if each[0] in done]
    assert {each[0] for each in words} == done
    for each in words:
        assert main(each) == 0, each
    assert (tmp_path / "runs" / "wrn" / "model.onnx").is_file()


SMALLER = {
    "wide_resnet_40_2=wrn_40_2.pt": "wide_resnet_16_1=student.pt",
    "wide_resnet_40_2": "convnet_4",
    "wide_resnet_16_1": "convnet_2",
    "teacher.pt": "convnet.pt",
    "10": "0.001",
}
"""Words of the comparison and the reproduction, and what a test has time for."""
IN_BRIEF = {
    "compare": ("--batch-size", "4"),
    "reproduce": ("--pairs", "16-1:16-1", "--rounds-fraction", "0.0000125", "--batch-size", "2"),
}
"""What a test adds to them."""


@pytest.mark.long
def test_compare_and_reproduce_as_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, file in (("convnet_4", "convnet.pt"), ("wide_resnet_16_1", "student.pt")):
        torch.save(make_network(name, in_channels=3, num_classes=10).state_dict(), file)
    random = np.random.default_rng(0)
    for name, count in (("test", 8), ("train", 2000)):
        images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        np.savez(f"{name}.npz", images=images, labels=np.arange(count) % 10)
    words = [each for each in commands_of(ROOT / "README.md") if each[0] in IN_BRIEF]
    assert {each[0] for each in words} == set(IN_BRIEF)
    for name, *flags in words:
        seeds = flags.index("--seeds")
        brief = [SMALLER.get(flag, flag) for flag in (*flags[: seeds + 2], *flags[seeds + 4 :])]
        folder = ("--folder", f"runs/{name}")
        assert main([name, *brief, *IN_BRIEF[name], *folder, "--accelerator", "cpu"]) == 0, name
        assert list((tmp_path / "runs" / name).glob("table.*"))


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", README)
    for target in (first or second for first, second in links):
        if not target.startswith("https://"):
            assert os.path.exists(ROOT / target), target  # noqa: PTH110


def test_lines_are_short() -> None:
    assert not [line for line in README.splitlines() if len(line) > 120]


def test_numbers_are_filled_in() -> None:
    assert "DEMO_" not in README
