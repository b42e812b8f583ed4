"""What the README tells a user to type works as it stands there."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from conftest import Command
from shared_folder import DATA, ROOT, needs_data

README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder beside the working one, where the README expects weights and images; a few of the images suffice."""
    data = tmp_path.parent / f"{tmp_path.name}_shared" / "data"
    (data / "cifar10").mkdir(parents=True)
    (data / "models").symlink_to(DATA / "models")
    with np.load(DATA / "cifar10" / "test.npz") as images:
        np.savez(data / "cifar10" / "test.npz", images=images["images"][:200], labels=images["labels"][:200])
    return data.parent


@needs_data
def test_the_two_commands(command: Command, shared: Path) -> None:
    text = block("sh").replace("\\\n", "").replace("../shared", str(shared)).replace("--rounds 20", "--rounds 3")
    transfer, measure = (shlex.split(line) for line in text.strip().splitlines())
    assert transfer[0] == measure[0] == "beliefmatch"
    command(*transfer[1:])
    done = command(*measure[1:])
    assert "measured on 200 examples" in done.stdout


@needs_data
def test_the_python_example(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = block("python").replace("../shared", str(shared)).replace("rounds=20", "rounds=2")
    assert len(code.strip().splitlines()) <= 12
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert type(names["network"]).__name__ == "WideResNet"
    assert (tmp_path / "runs" / "api" / "result.json").is_file()


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", README)
    for target in (first or second for first, second in links):
        if not target.startswith("https://"):
            assert os.path.exists(ROOT / target), target  # noqa: PTH110


def test_numbers_are_filled_in() -> None:
    assert "DEMO_" not in README
