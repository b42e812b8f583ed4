"""Checks of settings that several sources share."""

import math
from typing import Any

from beliefmatch.errors import SettingsError


def check_positive(source: Any, *names: str) -> None:
    """Check that settings of a source are above 0 and finite.

    Raises:
        SettingsError: one is not.
    """
    for name in names:
        if not 0 < getattr(source, name) < math.inf:
            raise SettingsError(f"source.{name} must be above 0; got {getattr(source, name)}")


def check_not_negative(source: Any, *names: str) -> None:
    """Check that settings of a source are finite and not below 0.

    Raises:
        SettingsError: one is.
    """
    for name in names:
        if not 0 <= getattr(source, name) < math.inf:
            raise SettingsError(f"source.{name} must not be below 0; got {getattr(source, name)}")


def check_share(source: Any, *names: str) -> None:
    """Check that settings of a source are from 0 to 1, or None where they are left open.

    Raises:
        SettingsError: one is not.
    """
    for name in names:
        share = getattr(source, name)
        if share is not None and not 0 <= share <= 1:
            raise SettingsError(f"source.{name} must be from 0 to 1; got {share}")
