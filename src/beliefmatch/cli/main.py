"""The command: parses, calls the library, prints. Heavy imports stand inside the commands, so --help is instant."""

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from beliefmatch.checks import check_numbers
from beliefmatch.cli.aliases import check_length_flag, spell_out
from beliefmatch.cli.cite import cite
from beliefmatch.cli.compare import compare
from beliefmatch.cli.compress import compress
from beliefmatch.cli.demo import demo
from beliefmatch.cli.export import export
from beliefmatch.cli.flag_words import command_in_words, flags_in_words
from beliefmatch.cli.inspect_model import inspect_model
from beliefmatch.cli.lists import architectures, recipes
from beliefmatch.cli.measure import measure
from beliefmatch.cli.output import set_display
from beliefmatch.cli.printing import PrintableFormatter, is_first_process, print_text
from beliefmatch.cli.quantize import quantize
from beliefmatch.cli.report import report
from beliefmatch.cli.reproduce import reproduce
from beliefmatch.cli.streams import lasting_streams
from beliefmatch.cli.toy import toy
from beliefmatch.cli.transfer import transfer, transfer_by
from beliefmatch.errors import BeliefMatchError, FolderError, SettingsError, did_you_mean, first_line, printable
from beliefmatch.log_once import each_message_once
from beliefmatch.setting_names import Names, calling_settings, names_of_command

COMMANDS = {
    "demo": demo,
    "compress": compress,
    "inspect": inspect_model,
    "recipes": recipes,
    "architectures": architectures,
    "transfer": transfer,
    "compare": compare,
    "measure": measure,
    "report": report,
    "export": export,
    "cite": cite,
    "quantize": quantize,
    "toy": toy,
    "reproduce": reproduce,
}

ONE_FLAG_A_NETWORK = ("compress", "inspect", "quantize")
"""Commands whose flags of a network are their own; the others have --student.architecture NAME and more besides."""
RANKS = ("LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE")
"""Environment variables that say which of several processes this is."""
MAX_MESSAGE = 2000
"""Characters of an error: a terminal shows no more at a time."""
MAX_WORD = 4096
"""Characters of a word of the command line: no path is longer."""
OUT_OF_MEMORY = (
    "outofmemoryerror",
    "can't allocate memory",
    "not enough memory",
    "storage size calculation overflowed",
)
"""What messages of torch's say where memory runs out."""
WITH_RESUME = "; the same command with --resume continues from the checkpoint"
WITHOUT = "; the same command continues"
CONTINUED = {
    **dict.fromkeys(("demo", "transfer", "toy"), WITH_RESUME),
    **dict.fromkeys(("compress", "compare", "reproduce"), WITHOUT),
}
"""How to go on with a command that was interrupted, where it can be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after an error that the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with lasting_streams() as out:
        handler = logging.StreamHandler()
        handler.setFormatter(PrintableFormatter())
        logging.basicConfig(handlers=[handler])
        logging.getLogger().setLevel(logging.INFO if is_first_process() else logging.ERROR)
        with calling_settings(_names_of(arguments)), each_message_once(), _explaining_errors(arguments) as ending:
            _check_surroundings()
            for word in arguments:
                _check_word(word)
            _run_command(arguments)
        out.flush()
        if ending.code == 0 and out.lost_text:
            assert out.failure is not None
            return _fail(f"the standard output cannot be written: {out.failure.strerror}; what was asked for is done")
        if ending.of_help is not None:
            raise ending.of_help
        return ending.code


@dataclass
class Ending:
    """How a command ends."""

    code: int = 0
    """Its exit code."""
    of_help: SystemExit | None = None
    """How the parser of flags ends when it has shown a help."""


@contextmanager
def _explaining_errors(arguments: Sequence[str]) -> Iterator[Ending]:
    """Say in one line what a user can mend, and set the exit code."""
    ending = Ending()
    try:
        yield ending
    except BeliefMatchError as error:
        ending.code = _fail(str(error))
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
        ending.of_help = end
    except KeyboardInterrupt:
        if is_first_process():
            sys.stderr.write(f"beliefmatch: interrupted{CONTINUED.get(next(iter(arguments), ''), '')}\n")
        ending.code = 130
    except OSError as error:
        # A disk that is full, a name that is too long, a working directory that is gone.
        where = f"{error.filename}: " if error.filename else ""
        ending.code = _fail(f"{where}{error.strerror or error}")
    except Exception as error:
        if message := _out_of_memory(error):
            ending.code = _fail(message)
        # Other processes fail when the first one does, and it has reported why.
        elif is_first_process():
            raise
        else:
            ending.code = 2


def _names_of(arguments: Sequence[str]) -> Names:
    """Return what the command that was typed calls settings in messages."""
    name = next(iter(arguments), "")
    return names_of_command(COMMANDS[name]) if name in COMMANDS else Names(are_flags=True)


def _fail(message: str) -> int:
    """Say why a command failed, in the first process, and return its exit code."""
    if is_first_process():
        message = printable(message)
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"
        sys.stderr.write(f"beliefmatch: error: {message}\n")
    return 2


def _check_surroundings() -> None:
    """Check what the libraries below take for granted: a working directory, and ranks that are numbers."""
    try:
        Path.cwd()
    except OSError as error:
        raise FolderError(f"the working directory is gone ({error.strerror}): change to another") from error
    for name in RANKS:
        if not os.environ.get(name, "0").isdecimal():
            raise SettingsError(f"the environment variable {name} is {os.environ[name]!r}, expected a number: unset it")


def _check_word(word: str) -> None:
    """Check that a word of the command line can be written down again, as run.json does."""
    if len(word) > MAX_WORD:
        raise SettingsError(f"a word of the command line has {len(word):,} characters, expected at most {MAX_WORD:,}")
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"{word!r} holds bytes that are no UTF-8 text: rename it") from error


def _out_of_memory(error: Exception) -> str | None:
    """Return what to do where memory ran out; None where an error is of another kind."""
    text = f"{type(error).__name__}: {error}".lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in OUT_OF_MEMORY):
        return f"memory ran out ({first_line(error)}): take a smaller --batch-size, or other sizes"
    return None


def _run_command(arguments: Sequence[str]) -> None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name not in ONE_FLAG_A_NETWORK:
        rest = spell_out(rest)
    check_length_flag(name, rest)
    if name in ("-h", "--help"):
        print_text(_overview())
    elif name == "--version":
        import importlib.metadata

        print_text(f"beliefmatch {importlib.metadata.version('beliefmatch')}")
    elif name not in COMMANDS:
        wanted = (
            f"no command is called {name!r}; {did_you_mean(name, COMMANDS)}"
            if name
            else f"name a command: {', '.join(COMMANDS)}"
        )
        raise SettingsError(f"{wanted} (beliefmatch --help says what they do)")
    elif name == "transfer" and rest:
        transfer_by(rest[0], rest[1:])
    else:
        tyro.cli(
            command_in_words(_prepared(COMMANDS[name])),
            prog=f"beliefmatch {name}",
            args=rest,
            config=(tyro.conf.AvoidSubcommands,),
            registry=flags_in_words(),
        )


def _prepared(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that first checks the numbers of all its flags, and sets the level of the log by --display."""

    @functools.wraps(command)
    def prepared(*arguments: Any, **flags: Any) -> None:
        check_numbers(flags)
        set_display(flags.get("display", "full"))
        command(*arguments, **flags)

    return prepared


def _overview() -> str:
    """Return the list of commands. A parser of all their flags would take longer to build than a reader waits."""
    width = max(map(len, COMMANDS))
    first = {name: (inspect.getdoc(command) or "").splitlines()[0] for name, command in COMMANDS.items()}
    return "\n".join(
        [
            "usage: beliefmatch COMMAND ...",
            "",
            "Compress a pretrained network into a smaller one without any of the data it was trained on.",
            "",
            "commands:",
            *(f"  {name:{width}}  {line}" for name, line in first.items()),
            "",
            "beliefmatch COMMAND --help lists the settings of one; beliefmatch --version tells the version.",
        ]
    )
