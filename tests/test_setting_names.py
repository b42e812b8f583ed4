"""Messages name settings as the caller calls them: commands by flags that they have, the API by its arguments."""

import ast
import dataclasses
import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import beliefmatch
from beliefmatch import NamedStudent, Network, RunOptions, Setup, compress, quantize
from beliefmatch.cli import COMMANDS, main
from beliefmatch.cli.flag_words import command_in_words
from beliefmatch.cli.printing import PrintableFormatter
from beliefmatch.errors import SettingsError, WeightsError
from beliefmatch.networks.loading.network import load_model
from beliefmatch.networks.loading.weights import read_weights
from beliefmatch.networks.model_settings import ModelSettings
from beliefmatch.runs.collapse_detection import advice_on
from beliefmatch.setting_names import Names, Setting, calling_settings, known_of, names_of_command, where_known

ONE_MODEL = ("compress", "inspect", "quantize")
FLAG = re.compile(r"(?<![\w-])--([a-z%]|$)")
"""A flag, also where its name is filled in."""
COMMANDS_THEMSELVES = ("cli", "report")
"""Folders whose texts are those of one command, or lines to type."""


def sources() -> Iterator[ast.AST]:
    """Yield all nodes of the library but those of commands."""
    for path in Path(beliefmatch.__file__).parent.rglob("*.py"):
        if path.parent.name not in COMMANDS_THEMSELVES and path.name != "setting_names.py":
            yield from ast.walk(ast.parse(path.read_text("utf-8")))


def paths_in_messages() -> set[str]:
    """Return the paths of all settings that messages name."""
    calls = (node for node in sources() if isinstance(node, ast.Call) and ast.unparse(node.func) == "Setting")
    return {str(node.args[0].value) for node in calls if isinstance(node.args[0], ast.Constant)}


def test_no_message_of_the_library_holds_a_flag() -> None:
    nodes = list(sources())
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs]
    found = [text for text in texts if isinstance(text, str) and FLAG.search(text)]
    # Lines to type, and the style of a line in a picture.
    assert [text for text in found if not text.startswith("beliefmatch ") and text != "--"] == []
    parts = [part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values]
    assert "--" not in [part.value for part in parts if isinstance(part, ast.Constant)]


def test_all_settings_in_messages_exist() -> None:
    """A path with a slip would be written without a word."""
    options = set(RunOptions.__dataclass_fields__) | set(Setup.__dataclass_fields__)
    nested = {f"teacher.{f}" for f in Network.__dataclass_fields__}
    nested |= {f"student.{f}" for f in NamedStudent.__dataclass_fields__}
    others = {path for path in paths_in_messages() if path.split(".")[0] in ("source", "objective", "optimiser")}
    of_commands = {path for command in COMMANDS.values() for path in names_of_command(command).own or ()}
    found = paths_in_messages()
    assert len(found) > 30
    assert found - others - options - nested - of_commands - {"taps"} == set()


def test_what_is_given_with_a_model_is_a_flag_and_an_argument_of_whatever_takes_one() -> None:
    settings = [field.name for field in dataclasses.fields(ModelSettings)]
    for command in ONE_MODEL:
        functions = COMMANDS[command], command_in_words(COMMANDS[command])
        before, after = (list(inspect.signature(each).parameters) for each in functions)
        index = before.index("teacher")
        assert after == [*before[:index], *settings, *before[index + 1 :]], "where the command has all of them in one"
        assert set(settings) <= set(names_of_command(COMMANDS[command]).own or ())
    for function in (compress, quantize):
        assert set(settings) <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize("command", ONE_MODEL)
@pytest.mark.parametrize("name", ["weights", "outputs", "output", "num_classes"])
def test_a_flag_of_the_teacher_is_the_commands_own(command: str, name: str) -> None:
    with calling_settings(names_of_command(COMMANDS[command])):
        assert str(Setting(f"teacher.{name}", "x")) == f"--{name.replace('_', '-')} x"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_setting_that_a_command_lacks_is_left_out_or_said_to_be_another_commands(command: str) -> None:
    names = names_of_command(COMMANDS[command])
    for path in paths_in_messages():
        with calling_settings(names):
            said, part = str(Setting(path)), where_known("; say {}", Setting(path))
        if part:
            assert said.removeprefix("--").replace("-", "_") in (names.own or ())
        else:
            assert said == f"--{path.replace('_', '-')} of beliefmatch transfer"


def some_settings() -> tuple[Setting, ...]:
    return (
        Setting("student.start", "fresh"),
        Setting("shape", (3, 32, 32)),
        Setting("mean", (0.5,)),
        Setting("resume", value=True),
        Setting("teacher.state_key", placeholder="KEY"),
    )


def test_flags_and_arguments() -> None:
    assert list(map(str, some_settings())) == [
        "student.start='fresh'",
        "shape=(3, 32, 32)",
        "mean=(0.5,)",
        "resume=True",
        "teacher.state_key",
    ]
    with calling_settings(Names(are_flags=True)):
        assert " ".join(map(str, some_settings())) == (
            "--student.start fresh --shape 3 32 32 --mean 0.5 --resume --teacher.state-key KEY"
        )
    with calling_settings(names_of_command(COMMANDS["compress"])):
        settings = some_settings()
        assert known_of(*settings[:3]) == "--start fresh or --shape 3 32 32 or --mean 0.5"
        assert known_of(settings[-1]) == "--state-key KEY"


def test_a_command_that_was_typed_gives_way_to_none_that_it_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "convnet_8", "--shape", "3", "32", "32"]) == 2
    assert "with --weights FILE" in capsys.readouterr().err
    assert main(["compress", "convnet_8", "--shape", "3", "32", "32", "--student", "convnet_4", "--size", "2"]) == 2
    assert "--size chooses one" in capsys.readouterr().err


def test_the_api_speaks_python(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^minutes must be above 0"):
        compress("convnet_8", "convnet_4", minutes=-1)
    with pytest.raises(ValueError, match=r"convnet_8 has no weights: name their file with weights$"):
        compress("convnet_8", "convnet_4", shape=(3, 8, 8), rounds=1, folder=tmp_path / "run")
    weights = tmp_path / "w.pt"
    torch.save({"model": {"a": torch.zeros(1)}, "ema": {"a": torch.zeros(1)}}, weights)
    with pytest.raises(WeightsError, match=r"choose one with state_key, such as ema"):
        load_model("convnet_8", weights=weights, shape=(3, 8, 8))


def test_a_way_out_that_a_command_lacks_has_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "w.pt"
    torch.save({"model": {"a": torch.zeros(1)}, "ema": {"a": torch.zeros(1)}}, weights)
    assert main(["inspect", "convnet_8", "--weights", str(weights), "--shape", "3", "8", "8"]) == 2
    assert "; choose one with --state-key, such as ema" in capsys.readouterr().err
    with (
        calling_settings(names_of_command(COMMANDS["demo"])),
        pytest.raises(WeightsError, match=r"; save one to a file of its own, such as ema"),
    ):
        read_weights(weights)


def test_demo_advises_nothing_that_it_cannot_do() -> None:
    with calling_settings(names_of_command(COMMANDS["demo"])):
        assert advice_on("one_class") == "a lower learning rate of the student"
    with calling_settings(Names(are_flags=True)):
        assert advice_on("one_class") == "a lower learning rate of the student (--optimiser.learning-rate)"
    assert "(source.learning_rate)" in advice_on("constant_source")


def test_the_log_names_settings_too() -> None:
    with calling_settings(names_of_command(COMMANDS["inspect"])):
        setting = Setting("teacher.outputs", "binary")
    # A handler may write it elsewhere, and later.
    record = logging.LogRecord("x", logging.WARNING, "", 0, "say %s", (setting,), None)
    assert PrintableFormatter().format(record) == "Warning: say --outputs binary"
