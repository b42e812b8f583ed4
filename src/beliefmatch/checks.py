"""Checks of settings, written once. Each names a setting by its path, such as optimiser.learning_rate.

A settings class gives its own path ("source", "optimiser", or "" for settings of a run itself), and which of its fields
are to be checked. A field that is None was left open and passes.
"""

import math
from collections.abc import Callable
from typing import Any

from beliefmatch.errors import SettingsError


def check_positive(settings: object, path: str, *names: str) -> None:
    """Check that numbers are above 0 and finite.

    Raises:
        SettingsError: one is not.
    """
    _check(settings, path, names, lambda value: 0 < value < math.inf, "must be above 0")


def check_not_negative(settings: object, path: str, *names: str) -> None:
    """Check that numbers are finite and not below 0.

    Raises:
        SettingsError: one is not.
    """
    _check(settings, path, names, lambda value: 0 <= value < math.inf, "must not be below 0")


def check_fraction(settings: object, path: str, *names: str) -> None:
    """Check that numbers are from 0 to 1.

    Raises:
        SettingsError: one is not.
    """
    _check(settings, path, names, lambda value: 0 <= value <= 1, "must be from 0 to 1")


def check_finite(settings: object, path: str, *names: str) -> None:
    """Check that numbers are finite.

    Raises:
        SettingsError: one is not.
    """
    _check(settings, path, names, math.isfinite, "must be finite")


def check_any_weight(settings: object, path: str, *names: str) -> None:
    """Check that at least one of several weights is not 0.

    Raises:
        SettingsError: all are.
    """
    if not any(getattr(settings, name) for name in names):
        paths = [_path(path, name) for name in names]
        raise SettingsError(f"{', '.join(paths[:-1])} and {paths[-1]} are all 0, so there is nothing to learn", *paths)


def _check(settings: object, path: str, names: tuple[str, ...], holds: Callable[[Any], bool], rule: str) -> None:
    for name in names:
        full_path, value = _path(path, name), getattr(settings, name)
        if value is not None and not holds(value):
            raise SettingsError(f"{full_path} {rule}; got {value}", full_path)


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
