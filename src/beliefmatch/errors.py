"""The error family: whatever a user can cause and mend.

Each message is one line: what was expected, what came and what to type next. The command prints it and
exits with code 2; a library user catches `BeliefMatchError`. Broken invariants of our own are `assert`s instead.
"""

import difflib
import re
from collections.abc import Iterable

ESCAPES = re.compile(r"(\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(\x07|\x1b\\)?")
"""Sequences that a terminal takes for commands, such as a colour or the title of its window."""


def printable(text: str) -> str:
    """Return a text as one line without anything that a terminal would obey: names in files can hold such things."""
    without = ESCAPES.sub("", text)
    return "".join(letter if letter.isprintable() else " " * letter.isspace() for letter in without)


class BeliefMatchError(ValueError):
    """Base of every error that a user can mend. Its message is one line that a terminal can show."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class WrongTypeError(BeliefMatchError, TypeError):
    """An argument has a type that it cannot have."""


class NetworkError(BeliefMatchError):
    """A network cannot be built, or does not fit the inputs or the other network."""


class ExtraError(BeliefMatchError):
    """A package that only some need is missing, or cannot be imported."""


class WeightsError(BeliefMatchError):
    """A weights file is missing, damaged, unsafe or does not fit its network."""


class TapError(BeliefMatchError):
    """A named activation does not exist or cannot be compared."""


class ExamplesError(BeliefMatchError):
    """Examples to measure on, images or others, cannot be read or do not fit the network."""


class SettingsError(BeliefMatchError):
    """A setting is out of range or contradicts another."""


class FolderError(BeliefMatchError):
    """A run folder cannot be used: occupied, empty, not writable, or the disk is full."""


class ResumeError(BeliefMatchError):
    """A run cannot be continued with these settings or from this checkpoint."""


class ProcessError(BeliefMatchError):
    """A process of a run on several devices is gone, or does not answer."""


class ExportError(BeliefMatchError):
    """A network cannot be exported, or its file does not predict what it does."""


class CollapseError(BeliefMatchError):
    """The student or the source collapsed while training, and the options ask to stop then."""

    def __init__(self, seen: str, way_out: str = "") -> None:
        """Build an error of what was seen, and what can be done about it."""
        super().__init__(f"{seen}. {way_out}" if way_out else seen)
        self.seen = seen


class DivergedError(CollapseError):
    """A loss or a gradient stopped being finite while training."""


def near_names(name: str, known: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return the known names that are most like an unknown one, the nearest first.

    Args:
        name: the unknown one.
        known: all that it could have been.
        most: so many at most.
        cutoff: likeness in [0, 1] that they must have; 0 takes any.
    """
    return difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)


def the_nearest(name: str, known: Iterable[str]) -> str:
    """Return words that list the known names nearest to an unknown one, for the end of a message."""
    return f"the nearest are {', '.join(near_names(name, known, cutoff=0)) or 'none'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after the names that are near to an unknown one; where none is, a list of all names."""
    known = list(known)
    near = near_names(name, known)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its name where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
