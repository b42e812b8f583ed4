"""Checks of settings, written once. Each names a setting by its path, such as optimiser.learning_rate.

A settings class gives its own path ("source", "optimiser", or "" for settings of a run itself), and which of its fields
are to be checked. A field that is None was left open and passes.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from beliefmatch.errors import SettingsError
from beliefmatch.setting_names import Setting

NUM_SEEDS = 2**32
"""Seeds that give different random numbers."""
MAX_WHOLE = 2**63
"""Bound of whole numbers: larger ones overflow where they become floats or tensors."""
MAX_FLOAT = 1e300
"""Bound of numbers: products of larger ones overflow. Run folders are read with the same two bounds."""
IN_A_ROUND, MAX_IN_A_ROUND = ("_steps", "warm_up", "batches_per_round"), 1_000_000
"""How names of settings end that count what one round does, and their bound: a round holds what each step measured, and
nothing can end it before."""
MAX_MINUTES = 1_000_000
"""Bound of a run's wall time: almost two years."""
MAX_ROUNDS = 1_000_000_000
"""Bound of a run's rounds: at a thousand a second, more than a week and a half."""


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


def check_seed(settings: object, path: str, *names: str) -> None:
    """Check that seeds are from 0 to 2**32 - 1: torch's generator on a CPU takes no more bits of one.

    Raises:
        SettingsError: one is not.
    """
    _check(settings, path, names, lambda value: 0 <= value < NUM_SEEDS, "must be at least 0 and below 2**32")


def check_length(*, minutes: float | None, rounds: int | None = None) -> None:
    """Check how long a run is to be: minutes, rounds or neither is given, and minutes are a time that can be.

    Raises:
        SettingsError: both are given, or minutes are out of range.
    """
    if minutes is not None and rounds is not None:
        raise SettingsError(f"{Setting('minutes')} and {Setting('rounds')} contradict each other: leave one out")
    if minutes is not None and not 0 < minutes < MAX_MINUTES:
        raise SettingsError(
            f"{Setting('minutes')} must be above 0 and below {MAX_MINUTES:,}, such as 10; got {minutes}"
        )


def check_numbers(settings: Any, path: str = "") -> None:
    """Check that every number in settings, however deep, is finite and of a size that can be stored.

    Whatever else holds for one, such as that it is above 0, its own class checks.

    Args:
        settings: a dataclass, a tuple, a dict, or a single value.
        path: of it, for messages.

    Raises:
        SettingsError: one is not.
    """
    if isinstance(settings, int | float):
        bound = MAX_WHOLE if isinstance(settings, int) else MAX_FLOAT
        # Nothing that is no number is below anything.
        if not abs(settings) < bound:
            shown = f"{settings:.3g}" if isinstance(settings, float) else "a number of that size"
            raise SettingsError(f"{Setting(path)} must be finite and below {bound:.0e} in size; got {shown}")
    elif dataclasses.is_dataclass(settings):
        for field in dataclasses.fields(settings):
            value, where = getattr(settings, field.name), _path(path, field.name)
            check_numbers(value, where)
            most = MAX_IN_A_ROUND if field.name.endswith(IN_A_ROUND) else MAX_ROUNDS if field.name == "rounds" else None
            if most is not None and isinstance(value, int) and value > most:
                raise SettingsError(f"{Setting(where)} must be at most {most:,}; got {value:,}")
    elif isinstance(settings, dict):
        for name, value in settings.items():
            check_numbers(value, _path(path, str(name)))
    elif isinstance(settings, tuple | list):
        for value in settings:
            check_numbers(value, path)


def check_any_weight(settings: object, path: str, *names: str) -> None:
    """Check that at least one of several weights is not 0.

    Raises:
        SettingsError: all are.
    """
    if not any(getattr(settings, name) for name in names):
        *others, last = (str(Setting(_path(path, name))) for name in names)
        raise SettingsError(f"{', '.join(others)} and {last} are all 0, so there is nothing to learn")


def _check(settings: object, path: str, names: tuple[str, ...], holds: Callable[[Any], bool], rule: str) -> None:
    for name in names:
        full_path, value = _path(path, name), getattr(settings, name)
        if value is not None and not holds(value):
            raise SettingsError(f"{Setting(full_path)} {rule}; got {value}")


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
