"""What commands write to the terminal; the progress of a run is in `training.progress`."""

import logging
import os
import sys

from beliefmatch.errors import printable


def is_first_process() -> bool:
    """Whether this is the process that a person started, not one that it started for another device."""
    rank = os.environ.get("LOCAL_RANK", "0")
    return not rank.isdecimal() or int(rank) == 0


def print_text(text: str) -> None:
    """Write lines to the standard output, without anything that a terminal would obey."""
    sys.stdout.write("\n".join(map(printable, text.split("\n"))) + "\n")


class PrintableFormatter(logging.Formatter):
    """Writes each message of the log as one line, without anything that a terminal would obey."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging has it
        """Return the record as one printable line, with a warning named as one; see logging."""
        named = f"Warning: {record.message}" if record.levelno == logging.WARNING else record.message
        record.message = printable(named)
        return super().formatMessage(record)
