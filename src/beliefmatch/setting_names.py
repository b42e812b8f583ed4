"""How messages name settings: as flags where a command was typed, as arguments where Python called the library.

A message holds a `Setting`, which is written as the caller calls it. A caller says once what it calls settings: the
command with `names_of_command`, a function of the API with `speaks_python`. Where nobody did, a setting is its path.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar, get_args

from beliefmatch.errors import SettingsError

P = ParamSpec("P")
R = TypeVar("R")
TEACHER = "teacher."
RENAMED = {"student.start": "start"}
"""Settings of a student that callers with one argument a network have, by another name."""


@dataclass(frozen=True)
class Names:
    """What a caller calls settings."""

    own: frozenset[str] | None = None
    """Paths of all settings that it takes, such as outputs or teacher.outputs. None: all there are, by their paths."""
    has_nested: bool = False
    """Whether it takes all settings of a part too, such as source.capacity, whichever part that is."""
    are_flags: bool = False
    """Whether they are typed as flags."""

    def find(self, path: str) -> str | None:
        """Return what the caller calls the setting of a path; None where it has none such."""
        if self.own is None or path in self.own or (self.has_nested and "." in path):
            return path
        other = path.removeprefix(TEACHER) if path.startswith(TEACHER) else RENAMED.get(path)
        return other if other in self.own else None


PATHS = Names()
"""The names where nobody said any."""
_NAMES: ContextVar[Names | None] = ContextVar("names of settings", default=None)


@dataclass(frozen=True)
class Setting:
    """A setting in a message, such as --teacher.outputs regression, or teacher.outputs='regression' in Python."""

    path: str
    """Its path among the settings of a transfer, such as teacher.outputs or batch_size."""
    value: object = None
    """What it is to be, or is; True where a flag has no value. None: the name alone."""
    placeholder: str = ""
    """What stands for a value where a command shows it, such as FILE."""
    names: Names = field(default_factory=lambda: _NAMES.get() or PATHS, repr=False)
    """What the caller calls settings: whoever writes the message later may be in another context."""

    @property
    def is_known(self) -> bool:
        """Whether the caller has such a setting."""
        return self.names.find(self.path) is not None

    def __str__(self) -> str:
        """Return the setting as the caller calls it; one of the command that has all where the caller has none."""
        name = self.names.find(self.path)
        if not self.names.are_flags:
            return f"{name or self.path}" if self.value is None else f"{name or self.path}={self.value!r}"
        words = [f"--{(name or self.path).replace('_', '-')}", *_typed(self.value), self.placeholder]
        return f"{' '.join(filter(None, words))}{'' if name else ' of beliefmatch transfer'}"


def where_known(text: str, *settings: Setting) -> str:
    """Return a part of a sentence with settings in the places of {}; empty where the caller lacks one of them."""
    return text.format(*settings) if all(setting.is_known for setting in settings) else ""


def known_of(*settings: Setting) -> str:
    """Return those settings of several that the caller has, with `or` between; empty where it has none."""
    return " or ".join(str(setting) for setting in settings if setting.is_known)


@contextmanager
def calling_settings(names: Names) -> Iterator[None]:
    """Write settings as a caller calls them while the context lasts."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


@contextmanager
def settings_of_run(folder: object, given: Mapping[str, object]) -> Iterator[None]:
    """Refuse settings that a run has already, and tell nobody to give them while the context lasts.

    Args:
        folder: of the run.
        given: by path what the caller gave for each of them; None or False: it was left out.

    Raises:
        SettingsError: one was given.
    """
    if found := [str(Setting(path)) for path, value in given.items() if value is not None and value is not False]:
        raise SettingsError(
            f"{folder} is a run: its networks and inputs are those of its settings; leave out {' and '.join(found)}"
        )
    names = _NAMES.get() or PATHS
    with calling_settings(replace(names, own=None if names.own is None else names.own - given.keys())):
        yield


def names_of_command(command: Callable[..., None]) -> Names:
    """Return what a command calls settings: flags of its arguments that are named, dataclasses field by field.

    Those of a dataclass whose parser name is empty have no prefix.
    """
    return Names(frozenset(_paths_of(command)), are_flags=True)


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function of the API that writes settings in messages as its own arguments are called."""
    names = Names(frozenset(_paths_of(function)))

    @functools.wraps(function)
    def speaking(*args: P.args, **kwargs: P.kwargs) -> R:
        # A command that calls the API has its own names.
        with calling_settings(_NAMES.get() or names):
            return function(*args, **kwargs)

    return speaking


def _paths_of(function: Callable[..., Any]) -> Iterator[str]:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            is_flat = any(getattr(each, "name", None) == "" for each in get_args(parameter.annotation)[1:])
            if not is_flat:
                yield name
            if dataclasses.is_dataclass(parameter.default):
                prefix = "" if is_flat else f"{name}."
                yield from (f"{prefix}{field.name}" for field in dataclasses.fields(parameter.default))


def _typed(value: object) -> list[str]:
    """Return the words that give a flag its value."""
    if value is None or value is True:
        return []
    values = value if isinstance(value, tuple | list) else [value]
    return [f"{each:g}" if isinstance(each, float) else str(each) for each in values]
