"""The verdict: what was measured, what was not, and a command that can be typed."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.cli import main
from beliefmatch.report.commands import on_folder
from beliefmatch.report.elements import Verdict
from beliefmatch.report.groups import group_runs
from beliefmatch.report.runs import Run, read_runs
from beliefmatch.report.verdict import verdict
from beliefmatch.runs.schema.result import Result
from report.conftest import Copy
from report.folders import cut_short


@pytest.fixture
def run(two_runs: list[Path]) -> Run:
    run = read_runs(two_runs[:1])[0]
    names = {"teacher.architecture": "convnet_4", "student.architecture": "timm:resnet18?in_chans=1"}
    return replace(run, path=Path("my run"), settings=run.settings | names)


def unmeasured(run: Run) -> Run:
    assert isinstance(run.result, Result)
    result = replace(run.result, student_accuracy=None, teacher_accuracy=None, agreement=None)
    return replace(run, measured=None, result=result)


def exported(run: Run) -> Run:
    assert isinstance(run.result, Result)
    exports: Any = {"student.onnx": object()}
    return replace(run, result=replace(run.result, exports=exports))


def named(run: Run, architecture: str) -> Run:
    return replace(run, settings=run.settings | {"teacher.architecture": architecture})


def judge(*runs: Run) -> Verdict:
    return verdict(group_runs(runs))


def test_without_data_the_next_step_is_to_measure(run: Run) -> None:
    found = judge(unmeasured(run))
    assert found.measured == "Nothing on real data."
    assert found.unmeasured == "Accuracy, agreement, the calibration error and the mean transition error."
    assert found.command == "beliefmatch measure 'my run' --images FILE.npz"


def test_what_was_measured_leads_to_an_export(run: Run) -> None:
    found = judge(run)
    assert found.measured == (
        "Accuracy, agreement and the calibration error, on 200 examples of digits.npz; the mean transition error, on "
        "20 examples."
    )
    assert found.unmeasured == ""
    assert found.advice.endswith("none was exported yet.")
    assert found.command == "beliefmatch export 'my run' --to onnx"


def test_at_last_transition_curves_and_then_nothing(run: Run) -> None:
    assert judge(exported(run)).command == ""
    assert judge(exported(run)).advice.startswith("Deploy the exported file")
    assert run.measured is not None
    without = replace(run, measured=replace(run.measured, transition=None))
    assert judge(without).unmeasured == "The mean transition error."
    assert judge(exported(without)).command.endswith("--transition 200")


def test_of_several_runs_it_tells_how_many(run: Run) -> None:
    other = replace(unmeasured(run), seed=7, path=Path("other"))
    found = judge(run, other)
    assert found.measured.startswith("Accuracy (1 of 2 runs), agreement (1 of 2 runs)")
    assert found.command == "beliefmatch measure other --images FILE.npz"


@pytest.mark.parametrize("architecture", ["my_model.py:net", "/a/b.py:net"])
def test_code_of_a_user_has_to_be_trusted(run: Run, architecture: str) -> None:
    assert judge(named(run, architecture)).command.endswith(" --trust-code")


@pytest.mark.parametrize("architecture", ["wide_resnet_16_1", "hf:folder", "torchvision:resnet18", "a.onnx"])
def test_other_networks_need_no_trust(run: Run, architecture: str) -> None:
    assert "--trust-code" not in judge(named(run, architecture)).command


def test_networks_that_were_given_in_python_go_on_there(run: Run) -> None:
    given = named(run, "given in Python: LeNet5")
    assert judge(given).command.startswith("result.export('my run/student.onnx')")
    assert judge(unmeasured(given)).command.startswith("result.measure(examples)")
    where = on_folder("measure", given, ("--images", "test.npz", "--transition", "200"))
    assert where.startswith("result.measure(examples, transition=bm.measurement.TransitionPlan(num_images=200))")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("/usr/bin/beliefmatch", "demo", "--folder", "a b"), "beliefmatch demo --folder 'a b' --resume"),
        (("/x/beliefmatch/__main__.py", "transfer", "best"), "beliefmatch transfer best --resume"),
        (("beliefmatch", "toy", "--resume"), "beliefmatch toy --resume"),
        (("beliefmatch", "compress", "m.py:net"), "beliefmatch compress m.py:net"),
        (("/usr/bin/python", "train.py"), ""),
        (("beliefmatch",), ""),
        ((), ""),
    ],
)
def test_a_run_that_was_cut_short_is_continued_first(copy: Copy, command: tuple[str, ...], expected: str) -> None:
    folder = copy("killed")
    cut_short(folder, after=3)
    found = judge(replace(read_runs([folder])[0], command=command))
    assert found.advice == "Continue killed to its end."
    assert found.command == expected


def test_the_commands_are_understood(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Their flags are those of the command line; it only finds no run."""
    other = named(run, "my_model.py:net")
    for given in (other, unmeasured(other), exported(replace(other, measured=None))):
        program, *words = shlex.split(judge(given).command)
        assert program == "beliefmatch"
        assert main(words) != 0
        assert "my run holds no run" in capsys.readouterr().err
