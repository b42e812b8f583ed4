"""The command: parses, calls the library, prints. Heavy imports stand inside the commands, so --help is instant."""

import logging
import os
import sys
from collections.abc import Sequence

import tyro

from beliefmatch.cli.measuring import measure, report
from beliefmatch.cli.reproducing import reproduce
from beliefmatch.cli.runs import demo, toy, transfer, transfer_by
from beliefmatch.console import is_first_process
from beliefmatch.errors import BeliefMatchError

DESCRIPTION = "Compress a pretrained network into a smaller one without any of the data it was trained on."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after an error that the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(format="%(message)s")
    logging.getLogger().setLevel(logging.INFO if is_first_process() else logging.ERROR)
    try:
        if len(arguments) > 1 and arguments[0] == "transfer":
            transfer_by(arguments[1], arguments[2:])
        else:
            commands = {
                "demo": demo,
                "transfer": transfer,
                "measure": measure,
                "report": report,
                "toy": toy,
                "reproduce": reproduce,
            }
            tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="beliefmatch",
                description=DESCRIPTION,
                args=arguments,
                config=(tyro.conf.AvoidSubcommands,),
            )
    except BeliefMatchError as error:
        if is_first_process():
            sys.stderr.write(f"beliefmatch: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            sys.stderr.write("beliefmatch: interrupted; the same command with --resume continues from the checkpoint\n")
        return 130
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        # Other processes fail when the first one does, and it has said why.
        if is_first_process():
            raise
        return 2
    return 0
