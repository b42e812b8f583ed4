"""Each extra alone: what pyproject.toml declares for it is enough, the core needs none, and what is missing is told.

Processes of their own see nothing of what is installed but what pip would install with the extra.
"""

import contextlib
import importlib.metadata
import io
import json
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest
import timm
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from safetensors.torch import save_file
from test_any_model import SHAPE, TIMM, hugging_face

from beliefmatch.networks.loading.network import make_network
from tiny import named

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
CORE = ["--teacher", named("make_conv_teacher"), "--shape", 1, 8, 8]
MESSAGES = {
    "timm": (["--teacher", "timm:resnet18?pretrained"], "timm is not installed: pip install 'beliefmatch[timm]'"),
    "hf": (["--teacher", "hf:some/where"], "package transformers is not installed: pip install 'beliefmatch[hf]'"),
    "onnx": (["--teacher", "model.onnx"], "package onnx is not installed: pip install 'beliefmatch[onnx]'"),
    "prune": ([*CORE, "--student", "thin:0.5"], "torch_pruning is not installed: pip install 'beliefmatch[prune]'"),
    "tensorboard": ([*CORE, "--log", "tensorboard"], "is not installed: pip install 'beliefmatch[tensorboard]'"),
}
"""By extra: what is typed that needs it, and what is said where it is missing."""
TORCHVISION = (["--teacher", "torchvision:resnet18"], "torchvision is not installed: pip install 'torchvision'")


def with_student(words: list[object]) -> list[object]:
    return words if "--student" in words else [*words, "--student", "convnet_4"]


def with_all_they_need(requirements: Iterable[str]) -> set[str]:
    """Names of distributions that pip would install for these."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in {"", *wanted.extras}:
            if (name, extra) in found:
                continue
            found.add((name, extra))
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                needs = map(Requirement, importlib.metadata.requires(name) or ())
                waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def hidden_with(extra: str | None) -> set[str]:
    """Top-level modules that are installed here, and would not be with the core and one extra alone."""
    extras = PROJECT["optional-dependencies"][extra] if extra else []
    there = with_all_they_need([*PROJECT["dependencies"], *extras]) | {"beliefmatch"}
    modules = importlib.metadata.packages_distributions().items()
    return {module for module, owners in modules if not there.intersection(map(canonicalize_name, owners))}


def run_commands(folder: Path, extra: str | None, *commands: Iterable[object]) -> list[str]:
    """Run commands one after the other in a process with one extra; gives what each said, its exit code before it."""
    lines = [[str(word) for word in command] for command in commands]
    code = (
        "import contextlib, io, json, sys\n"
        "from beliefmatch.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as said:\n"
        "        code = main(words)\n"
        "    lines = [line for line in said.getvalue().strip().split('\\n') if not line.startswith('Warning: ')]\n"
        "    print('said', code, ' / '.join(lines))\n"
    )
    hidden = hidden_with(extra)
    assert {"pytest", "tensorboard"} <= hidden
    (folder / "model.onnx").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIDDEN_PACKAGES", " ".join(hidden))
        patch.chdir(folder)
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(lines)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.removeprefix("said ") for line in done.stdout.splitlines() if line.startswith("said ")]


def transfer(folder: Path, *words: object) -> list[object]:
    small = ("--rounds", 1, "--batch-size", 2, "--source.noise-size", 4, "--source.student-steps", 1)
    return ["transfer", "zero_shot", "--display", "quiet", "--folder", folder, *small, *words]


def made_with(extra: str, folder: Path) -> list[object]:
    """Make what an extra is for, and name it as teacher and student."""
    match extra:
        case "timm":
            network = timm.create_model("test_vit", img_size=24, patch_size=8, num_classes=10)
            save_file(network.state_dict(), folder / "w.safetensors")
            words = ["--teacher", TIMM, "--teacher.weights", folder / "w.safetensors", "--student", "timm:test_resnet"]
            return [*words, "--shape", *SHAPE]
        case "hf":
            place = f"hf:{hugging_face(folder)}"
            return ["--teacher", place, "--student", place]
        case _:
            network = make_network("convnet_4", in_channels=3, num_classes=10).eval()
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network, (torch.randn(3, *SHAPE),), folder / "teacher.onnx", dynamo=True, verbose=False
                )
            return ["--teacher", folder / "teacher.onnx", "--student", "convnet_4"]


@pytest.mark.long
@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("extra", ["timm", "hf", "onnx"])
def test_an_extra_is_enough_for_what_it_is_for_and_says_what_others_are_for(tmp_path: Path, extra: str) -> None:
    others = {other: told for other, told in MESSAGES.items() if other != extra}
    ran, exported, *refused = run_commands(
        tmp_path,
        extra,
        transfer(tmp_path / "run", *made_with(extra, tmp_path)),
        ["export", "--trust-code", tmp_path / "run", "--to", "onnx", "--display", "quiet"],
        *(transfer(tmp_path / "refused", *with_student(words)) for words, _ in others.values()),
    )
    assert ran == "0 "
    assert exported == ("0 " if extra == "onnx" else f"2 beliefmatch: error: the {MESSAGES['onnx'][1]}")
    for said, (_, message) in zip(refused, others.values(), strict=True):
        assert said.startswith("2 beliefmatch: error: ")
        assert said.endswith(message)


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.long
def test_the_core_transfers_and_says_what_each_extra_is_for(tmp_path: Path) -> None:
    messages = [*MESSAGES.values(), TORCHVISION]
    done, no_file, *refused = run_commands(
        tmp_path,
        None,
        transfer(tmp_path / "run", *CORE, "--student", "convnet_4"),
        transfer(tmp_path / "refused", "--teacher", "nowhere.onnx", "--student", "convnet_4"),
        *(transfer(tmp_path / "refused", *with_student(words)) for words, _ in messages),
    )
    assert done == "0 "
    # A wrong path is one whatever is installed.
    assert no_file.startswith(f"2 beliefmatch: error: no file at {tmp_path / 'nowhere.onnx'}")
    for said, (_, message) in zip(refused, messages, strict=True):
        assert said.endswith(message)


@pytest.mark.long
@pytest.mark.usefixtures("fresh_process")
def test_the_core_needs_no_extra(tmp_path: Path) -> None:
    messages = [*MESSAGES.values(), TORCHVISION]
    *done, exported = run_commands(
        tmp_path,
        None,
        transfer(tmp_path / "run", *CORE, "--student", "convnet_4"),
        ["export", "--trust-code", tmp_path / "run", "--to", "pt2", "--display", "quiet"],
        ["export", "--trust-code", tmp_path / "run", "--to", "safetensors", "--display", "quiet"],
        ["report", tmp_path / "run"],
        *(transfer(tmp_path / "refused", *with_student(words)) for words, _ in messages),
        ["export", "--trust-code", tmp_path / "run", "--to", "onnx", "--display", "quiet"],
    )
    worked, refused = done[:4], [*done[4:], exported]
    assert worked == ["0 "] * 4
    for said, message in zip(refused, [*(message for _, message in messages), MESSAGES["onnx"][1]], strict=True):
        assert said.startswith("2 beliefmatch: error: ")
        assert said.endswith(message)
