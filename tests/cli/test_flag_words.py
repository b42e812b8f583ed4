"""What helps show after a flag: words, no types of Python, and no default where there is none."""

import contextlib
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tyro

from beliefmatch import recipes
from beliefmatch.cli import COMMANDS, main
from beliefmatch.cli.aliases import spell_out
from beliefmatch.cli.flag_words import in_words
from beliefmatch.cli.transfer import transfer_by
from beliefmatch.training.transfer import Transfer

OF_PYTHON = ("{None", "None)", "None:", "[INT", "[FLOAT", "[STR")


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with contextlib.suppress(SystemExit):
        assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "transfer"])
def test_a_command_shows_no_type_of_python(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys, command)
    assert not [each for each in OF_PYTHON if each in shown]


@pytest.mark.parametrize("recipe", ["best", "few_shot", "toy"])
def test_a_recipe_shows_an_example_and_everyday_settings_first(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys, "transfer", recipe)
    assert not [each for each in OF_PYTHON[1:] if each in shown and each != "None:"]
    assert "--shape NUMBER ..." in shown
    places = [shown.index(words) for words in ("Example: beliefmatch transfer", "Everyday settings:", "--display")]
    assert places == sorted(places)
    assert "Default: those of a network that brings its weights" in " ".join(shown.split())


@pytest.mark.parametrize("recipe", recipes.ALL)
def test_the_example_of_a_recipe_is_understood(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_model.py").touch()
    made: list[Transfer] = []

    class UnderstoodError(Exception):
        """Nothing is run."""

    def stop(transfer: Transfer, *_: object, **__: object) -> None:
        made.append(transfer)
        raise UnderstoodError

    monkeypatch.setattr("beliefmatch.training.budget.choose_rounds", stop)
    example = help_of(capsys, "transfer", recipe).partition("Example: ")[2].partition("\n\n")[0]
    words = spell_out(shlex.split(example))
    with pytest.raises(UnderstoodError):
        transfer_by(recipe, words[3:])
    assert (made[0].recipe, made[0].minutes) == (recipe, 10)


@pytest.mark.parametrize(
    ("annotation", "default", "words"),
    [
        (int | None, None, "NUMBER"),
        (float | None, 5.0, "NUMBER|None"),
        (tuple[int, ...] | None, None, "NUMBER ..."),
        (tuple[int, ...], (0, 1), "NUMBER ..."),
        (tuple[Path, str], None, "PATH TEXT"),
        (Literal["a", "b"] | None, None, "{a,b}"),
        (Annotated[int | None, tyro.conf.arg(metavar="COUNT")], None, "COUNT"),
        (Annotated[int | None, "COUNT"], None, "COUNT"),
        (bool, False, None),
        (bool | None, None, None),
        (Transfer, None, None),
    ],
)
def test_words_stand_for_what_is_typed(annotation: Any, default: object, words: str | None) -> None:
    found = in_words(annotation, default)
    configured = [each.metavar for each in getattr(found, "__metadata__", ()) if not isinstance(each, str)]
    assert (configured[-1] if configured else None) == words
