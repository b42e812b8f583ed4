"""Messages name flags that the command has: the library writes those of transfer, and some commands lack them."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import beliefmatch
from beliefmatch.cli import COMMANDS, ONE_MODEL, main
from beliefmatch.cli.flag_names import flags_of, in_own_flags
from beliefmatch.cli.progress import PrintableFormatter

FLAG_OF_TRANSFER = re.compile(r"--[a-z_]+\.[a-z.-]*[a-z]")
OF_COMPARE = ("--student.start fresh or --student.start teacher gives all of them the same start",)


def said(node: ast.JoinedStr | ast.Constant) -> str:
    """Return a text of the source; what it fills in stands as `x`, a role as teacher."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    filled = (ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else "" for part in node.values)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "teacher" if name == "role" else "x"
        for part, name in zip(node.values, filled, strict=True)
    )


def messages() -> Iterator[str]:
    """Yield all texts of the library, but for docstrings, that name a flag with a dot."""
    for path in Path(beliefmatch.__file__).parent.rglob("*.py"):
        if path.parent.name == "cli":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in docs:
                text = said(node)
                if FLAG_OF_TRANSFER.search(text) and not any(other in text for other in OF_COMPARE):
                    yield text


@pytest.mark.parametrize("command", ONE_MODEL)
def test_no_message_of_a_command_names_a_flag_of_another(command: str) -> None:
    own, found = flags_of(COMMANDS[command]), list(messages())
    assert len(found) > 10
    for message in found:
        translated = in_own_flags(message, own)
        others_left_out = re.sub(r"--[a-z.-]+ of beliefmatch transfer", "", translated)
        for flag in re.findall(r"--[a-z][a-z.-]*[a-z]", others_left_out):
            assert flag in own, translated


@pytest.mark.parametrize("command", ONE_MODEL)
@pytest.mark.parametrize("flag", ["--weights", "--outputs", "--output", "--num-classes"])
def test_a_flag_of_the_teacher_is_the_commands_own(command: str, flag: str) -> None:
    own = flags_of(COMMANDS[command])
    assert in_own_flags(f"say --teacher.{flag[2:]} x.", own) == f"say {flag} x."


def test_half_sentences_on_flags_that_a_command_lacks_are_left_out() -> None:
    own = flags_of(COMMANDS["compress"])
    untrained = "Load trained weights in it, name their file with --teacher.weights FILE, or add --teacher."
    assert (
        in_own_flags(f"{untrained}allow-untrained", own)
        == "Load trained weights in it, or name their file with --weights FILE"
    )
    several = "choose one with --teacher.state-key or --student.state-key, such as ema"
    assert in_own_flags(several, own) == "save one to a file of its own, such as ema"
    assert in_own_flags("say --student.start fresh", own) == "say --start fresh"
    assert in_own_flags("--student.weights w.pt", own) == "--student.weights of beliefmatch transfer w.pt"


def test_errors_and_the_log_are_translated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "convnet_8", "--shape", "3", "32", "32"]) == 2
    assert "with --weights FILE" in capsys.readouterr().err
    record = logging.LogRecord("x", logging.INFO, "", 0, "say --teacher.outputs regression", None, None)
    own = flags_of(COMMANDS["inspect"])
    assert PrintableFormatter(lambda text: in_own_flags(text, own)).format(record) == "say --outputs regression"
