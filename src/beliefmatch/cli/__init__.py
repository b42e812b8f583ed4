"""The command: parses, calls the library, prints. Heavy imports stand inside the commands, so --help is instant."""

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from beliefmatch.checks import check_numbers
from beliefmatch.cli.aliases import spell_out
from beliefmatch.cli.compare import compare
from beliefmatch.cli.compress import compress
from beliefmatch.cli.demo import demo
from beliefmatch.cli.export import export
from beliefmatch.cli.inspect_model import inspect_model
from beliefmatch.cli.lists import architectures, recipes
from beliefmatch.cli.measure import measure
from beliefmatch.cli.progress import PrintableFormatter, is_first_process, print_text
from beliefmatch.cli.report import report
from beliefmatch.cli.reproduce import reproduce
from beliefmatch.cli.toy import toy
from beliefmatch.cli.transfer import transfer, transfer_by
from beliefmatch.errors import BeliefMatchError, SettingsError, did_you_mean

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
    "toy": toy,
    "reproduce": reproduce,
}

ONE_FLAG_A_NETWORK = ("compress", "inspect")
"""Commands that take --student NAME as it is; the others have --student.architecture NAME and more besides."""
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
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger().setLevel(logging.INFO if is_first_process() else logging.ERROR)
    try:
        _run_command(arguments)
    except BeliefMatchError as error:
        if is_first_process():
            message = error.in_flags() if isinstance(error, SettingsError) else error
            sys.stderr.write(f"beliefmatch: error: {message}\n")
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            sys.stderr.write(f"beliefmatch: interrupted{CONTINUED.get(next(iter(arguments), ''), '')}\n")
        return 130
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        # Other processes fail when the first one does, and it has reported why.
        if is_first_process():
            raise
        return 2
    return 0


def _run_command(arguments: Sequence[str]) -> None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name not in ONE_FLAG_A_NETWORK:
        rest = spell_out(rest)
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
            _with_checked_numbers(COMMANDS[name]),
            prog=f"beliefmatch {name}",
            args=rest,
            config=(tyro.conf.AvoidSubcommands,),
        )


def _with_checked_numbers(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that checks the numbers of all its flags first."""

    @functools.wraps(command)
    def checked(*arguments: Any, **flags: Any) -> None:
        check_numbers(flags)
        command(*arguments, **flags)

    return checked


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
