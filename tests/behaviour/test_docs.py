"""The site: it builds without a warning, its examples run, and every recipe has a page."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import beliefmatch
from beliefmatch import InputSpec, recipes
from beliefmatch.cli import COMMANDS
from shared_folder import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("methods/*.md"))
SHORT = {"minutes=10": "rounds=1", "minutes=30": "rounds=1", "rounds=20": "rounds=1", "range(5)": "range(2)"}
"""What examples say, and what a test has time for."""


def build(builder: str, out: Path, *flags: str) -> str:
    """Build the site in a process of its own with warnings as errors, and return what it printed."""
    pytest.importorskip("sphinx", reason="the site needs Sphinx: pip install 'beliefmatch[docs]'")
    words = ["-W", "--keep-going", "-b", builder, "-d", out / "doctrees", *flags, DOCS, out / builder]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_site_builds_without_a_warning_and_runs_its_notebook(tmp_path: Path) -> None:
    build("html", tmp_path, "-D", f"nb_execution_cache_path={tmp_path / 'notebooks'}")
    assert "student accuracy" in (tmp_path / "html" / "tutorial.html").read_text()


@pytest.mark.long
def test_examples_of_docstrings_give_what_they_say(tmp_path: Path) -> None:
    told = build("doctest", tmp_path, "-D", "nb_execution_mode=off")
    count = re.search(r"(\d+) tests\n\s+0 failures in tests", told)
    assert count
    assert int(count[1]) > 20


def test_every_recipe_has_a_page() -> None:
    pages = "".join(page.read_text() for page in DOCS.glob("methods/*.md"))
    assert not [name for name in recipes.ALL if f"`{name}`" not in pages]
    index = (DOCS / "index.md").read_text()
    assert not [page.stem for page in PAGES if page.stem != "index" and page.stem not in index]


def test_the_reference_has_every_public_name() -> None:
    page = (DOCS / "api.md").read_text()
    names = [*beliefmatch.HOMES, *(f"recipes.{name}" for name in recipes.ALL)]
    names += [f"measurement.{name}" for name in beliefmatch.measurement.__all__]
    found = set(re.findall(r"beliefmatch\.([\w.]+)$", page, flags=re.MULTILINE))
    assert not [name for name in names if name not in found and name.rpartition(".")[2] not in found]


def test_commands_on_the_pages_exist() -> None:
    named = {word for page in PAGES for word in re.findall(r"^(?:    |\$ )beliefmatch (\w+)", page.read_text(), re.M)}
    assert named <= set(COMMANDS)


def blocks(page: str) -> list[str]:
    """Return the Python of a page, in order, with as few rounds as show that it runs."""
    found = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    for long, short in SHORT.items():
        found = [text.replace(long, short) for text in found]
    return found


MODULE = """
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""
SHAPES = {
    "quick_start.md": (3, 32, 32),
    "footguns.md": (3, 32, 32),
    "index.md": (3, 32, 32),
    "quantization.md": (3, 32, 32),
    "compress.md": (1, 28, 28),
    "your_own_model.md": (3, 64, 64),
}
"""Pages whose code runs, and the shape of the inputs that each speaks of."""
LABELS = {"your_own_model.md": torch.randint(2, (32, 10), generator=torch.Generator().manual_seed(0))}
"""Labels of a page that speaks of several an example; those of others are classes."""


def make_names(page: str) -> dict[str, Any]:
    """Return what a reader of a page has: networks, images and labels."""
    shape = SHAPES[page]

    def make_network() -> nn.Module:
        layers = (nn.Conv2d(shape[0], 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
        return nn.Sequential(*layers)

    images = torch.randint(256, (32, *shape[1:], shape[0]), dtype=torch.uint8)
    labels = LABELS.get(page, torch.arange(32) % 10)
    inputs = InputSpec(shape=shape).from_pixels(images)
    networks = {"teacher": make_network(), "student": make_network(), "model": make_network()}
    made = {"make_teacher": make_network, "MyStudent": make_network, "weights": make_network().state_dict()}
    data = {"inputs": inputs, "images": images, "labels": labels, "examples": (images, labels)}
    return networks | made | data | {key: [(inputs, labels)] for key in ("test", "validation", "test_loader")}


@pytest.mark.long
@pytest.mark.parametrize("page", SHAPES)
def test_code_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_model.py").write_text(MODULE)
    names = make_names(page)
    torch.save(make_names("quick_start.md")["weights"], "w.pt")
    names["bm"] = beliefmatch
    for text in blocks(page):
        if "runs/mine" in text:
            shutil.copytree(names["result"].folder, "runs/mine")
        if "images / 255" not in text:
            exec(compile(text, page, "exec"), names)
    if "result" in names:
        assert type(names["result"].student) is nn.Sequential
