"""Paths that a caller gives: in Python a string is a path, too."""

import os
from pathlib import Path

from beliefmatch.errors import WrongTypeError


def as_path(value: object, name: str) -> Path:
    """Return a path, from a path or a string.

    Args:
        value: that was given.
        name: of the argument or setting, for the message.

    Raises:
        WrongTypeError: it is neither.
    """
    if isinstance(value, str | os.PathLike):
        return Path(os.fspath(value))
    raise WrongTypeError(f"{name} is a {type(value).__name__}; expected a path, or a string with one")


def make_absolute(settings: object, name: str) -> None:
    """Make the path in a field of frozen settings absolute, from a path or a string; None stays.

    Raises:
        WrongTypeError: it is neither.
    """
    value = getattr(settings, name)
    if value is not None:
        object.__setattr__(settings, name, as_path(value, name).absolute())
