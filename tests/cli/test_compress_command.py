"""The commands compress, inspect, recipes and architectures."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch.cli import main
from beliefmatch.networks.loading.network import make_network
from beliefmatch.recipe_overviews import OVERVIEWS
from beliefmatch.runs.folder import RunFolder
from beliefmatch.training import budget
from beliefmatch.training.budget import Timing
from tiny import named

NETWORKS = (named("make_conv_teacher"), "--student", named("make_plain_conv"))
INPUTS = ("--shape", "1", "8", "8", "--mean", ".3", "--std", ".4")
USUAL = (*INPUTS, "--recipe", "noise", "--batch-size", "4", "--accelerator", "cpu", "--precision", "32-true")


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every round takes twenty seconds, and nobody waits for one."""
    timing = Timing(rounds=1, seconds_per_round=20.0, start_seconds=0.0, device="cpu", threads=1)
    monkeypatch.setattr(budget, "time_rounds", lambda *_, **__: timing)
    monkeypatch.chdir(tmp_path)


def run(*words: str, code: int = 0) -> None:
    assert main([*words]) == code


def test_it_prints_a_plan_runs_and_says_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    run("compress", *NETWORKS, *USUAL, "--minutes", "1")
    written = capsys.readouterr().out
    folder = "runs/tiny_make_conv_teacher_to_tiny_make_plain_conv"
    for words in (
        "426 parameters",
        "1 x 8 x 8 (as you gave it)",
        "mean 0.3, std 0.4",
        "3 of the usual 8,000 rounds, each of ten student steps",
    ):
        assert words in written
    assert f"beliefmatch measure {folder} --images FILE.npz --trust-code" in written
    settings = json.loads((Path(folder) / "run.json").read_text())["settings"]["transfer"]
    assert (settings["recipe"], settings["rounds"], settings["minutes"]) == ("noise", 3, 1)
    run("compress", *NETWORKS, *USUAL, "--minutes", "1")
    written = capsys.readouterr().out
    assert written.startswith(f"The run in {folder} has finished; nothing is left to do.\n")
    assert "of the usual 8,000 rounds" not in written, "there is no plan for what is done"
    run("compress", *NETWORKS, *USUAL, "--minutes", "2")
    assert f"a new schedule of 1 minutes begins from its student in {folder}_to_2_minutes" in capsys.readouterr().out
    assert Path(f"{folder}_to_2_minutes/student.safetensors").is_file()


def test_a_folder_in_use_is_refused_before_networks_are_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("beliefmatch.studies.compress.transfer_of", lambda _: pytest.fail("networks are loaded"))
    folder = RunFolder(Path("runs/used"))
    folder.acquire()
    run("compress", *NETWORKS, *USUAL, "--folder", str(folder.path), code=2)
    folder.release()
    assert "another process is running in runs/used" in capsys.readouterr().err
    Path("runs/mine").mkdir()
    Path("runs/mine/notes.txt").touch()
    run("compress", *NETWORKS, *USUAL, "--folder", "runs/mine", code=2)
    assert "is not empty (it holds notes.txt): name another --folder" in capsys.readouterr().err


def test_plan_stops_before_anything_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run("compress", *NETWORKS, *USUAL, "--minutes", "1", "--plan")
    assert "about 60 seconds on cpu" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_student_is_chosen_for_a_target(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    teacher = ("compress", named("make_conv_teacher"), *USUAL, "--rounds", "1", "--macs", "0.5")
    run(*teacher, "--plan")
    written = capsys.readouterr().out
    for words in ("tried for macs 0.5; latency of one example in onnxruntime on this machine", "thin:0.5", "speedup"):
        assert words in written
    assert "student       thin:0.5: 218 parameters" in written
    assert not list(tmp_path.iterdir())
    run(*teacher)
    written = capsys.readouterr().out
    folder = Path("runs/tiny_make_conv_teacher_to_auto")
    assert f"the student is in {folder / 'thin_0.5'}" in written
    assert f"chosen: Compression('thin:0.5', 218 of 426 parameters, folder='{folder / 'thin_0.5'}')" in written
    assert "agreement" in written
    run(*teacher, "--display", "json", "--student", "auto")
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["folder"] == str(folder / "thin_0.5")
    assert found["candidates"][found["chosen"]]["student"] == "thin:0.5"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*NETWORKS,), "--shape is missing: "),
        ((NETWORKS[0], *USUAL), "--student is missing: name one, such as thin:0.5, or say what it must meet"),
        ((NETWORKS[0], *USUAL, "--student", "auto"), "--student auto needs to know what the student must meet: give "),
        ((NETWORKS[0], *USUAL, "--speedup", "1"), "--speedup must be above 1, such as 2 for twice as fast; got 1"),
        ((NETWORKS[0], *USUAL, "--size", "2"), "--size must be above 0 and below 1"),
        ((NETWORKS[0], *USUAL, "--macs", ".5", "--candidates", "0"), "--candidates must be from 1 to 20; got 0"),
        ((*NETWORKS, *USUAL, "--macs", ".5"), "--student is named, and --macs chooses one: leave one out"),
        (("gone/net.py:make", "--student", "convnet_8"), "no file at "),
        (("convnett_8", "--student", "convnet_8"), "no architecture is called 'convnett_8'"),
        ((*NETWORKS, *USUAL, "--minutes", "0"), "--minutes must be above 0"),
        ((*NETWORKS, *USUAL, "--minutes", "1", "--rounds", "1"), "--minutes and --rounds contradict each other"),
    ],
)
def test_errors_name_flags(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("compress", *words, code=2)
    assert f"beliefmatch: error: {message}" in capsys.readouterr().err


def test_an_unknown_normalisation_is_a_warning_in_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    run("compress", *NETWORKS, "--shape", "1", "8", "8", "--plan")
    assert "Warning: not given, so this is assumed" in capsys.readouterr().out


def test_inspect_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(make_network("convnet_16", in_channels=1, num_classes=10).state_dict(), "w.pt")
    model = ("inspect", "convnet_16", "--weights", "w.pt", *INPUTS)
    run(*model)
    written = capsys.readouterr().out
    line = "beliefmatch compress convnet_16 --weights w.pt --shape 1 8 8 --mean 0.3 --std 0.4 --student convnet_8"
    for words in ("classes       10", "outputs       logits", "64 examples, ms", line, "rounds of best take about"):
        assert words in written
    run(*model, "--display", "json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["command"] == f"{line} --minutes 10"
    assert [each.partition("--std 0.4 ")[2] for each in found["commands"]] == [
        "--student convnet_8 --minutes 10",
        "--student thin:0.5 --minutes 10",
        "--speedup 2 --minutes 10",
    ]
    assert all(f"\n  {each}\n" in written for each in found["commands"])
    assert [each["architecture"] for each in found["students"]] == ["convnet_8", "convnet_4"]


def test_a_dataset_stands_for_shape_and_normalisation(capsys: pytest.CaptureFixture[str]) -> None:
    run(
        "compress",
        *NETWORKS,
        "--dataset",
        "mnist",
        "--recipe",
        "noise",
        "--batch-size",
        "4",
        "--minutes",
        "1",
        "--plan",
    )
    written = capsys.readouterr().out
    assert "1 x 28 x 28 (as you gave it)" in written
    assert "mean 0.1307, std 0.3081 (as you gave it)" in written


def test_a_function_that_loads_no_weights_is_refused_or_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    words = (named("make_plain_conv"), "--dataset", "mnist")
    for command in (("compress", "--student", "convnet_2"), ("inspect",), ("quantize",)):
        run(*command, *words, code=2)
        written = capsys.readouterr().err
        assert "loads no weights" in written
        assert "add --allow-untrained\n" in written
    run("inspect", *words, "--allow-untrained", "--display", "json")
    found = json.loads(capsys.readouterr().out)
    assert found["shape"] == [1, 28, 28]
    assert f"compress {words[0]} --dataset mnist --allow-untrained --" in found["commands"][-1]
    run("quantize", "gone/net.py:make", "--allow-untrained", code=2)
    assert "no file at " in capsys.readouterr().err


def test_inspect_shows_what_each_group_of_channels_is_worth(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(make_network("convnet_16", in_channels=1, num_classes=10).state_dict(), "w.pt")
    model = ("inspect", "convnet_16", "--weights", "w.pt", *INPUTS, "--prune")
    run(*model)
    written = capsys.readouterr().out
    for words in ("agreement with itself on 256 pseudo inputs", "without 75 %", "--student thin:0.5 keeps half"):
        assert words in written
    assert "drops blocks" not in written
    for name, begins in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        run(*model, "--plot", name)
        assert Path(name).read_bytes().startswith(begins)
        assert f"wrote {name}" in capsys.readouterr().out
    for words, message in (
        ((*model[:-1], "--plot", "b.png"), "--plot draws what --prune measures: add --prune"),
        ((*model, "--plot", "b.jpg"), "--plot b.jpg should end in .png, .svg or .pdf"),
        ((*model, "--plot", "gone/b.png"), "--plot gone/b.png would lie in a folder that is not there"),
    ):
        run(*words, code=2)
        assert f"beliefmatch: error: {message}" in capsys.readouterr().err
    run(*model, "--display", "json")
    found = json.loads(capsys.readouterr().out)["pruning"]
    assert [(each["name"], each["channels"]) for each in found["groups"]] == [
        ("conv1", 16),
        ("conv2", 32),
        ("conv3", 64),
    ]
    assert all(len(each["agreements"]) == 3 for each in found["groups"])
    assert found["blocks"] == []


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    run("recipes")
    shown = capsys.readouterr().out
    assert all(name in shown for name in OVERVIEWS)
    run("recipes", "--display", "json")
    assert json.loads(capsys.readouterr().out)["dfq"]["paper"] == "Choi et al. 2020"
    run("architectures")
    shown = capsys.readouterr().out
    for words in ("wide_resnet_DEPTH_FACTOR", "timm:NAME", "my_file.py:function", "lenet_5_half_bn"):
        assert words in shown


def test_help_shows_no_types_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("compress", "inspect"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        assert "None" not in shown
        assert "--shape SIZE ..." in shown
