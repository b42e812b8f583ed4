"""Recipes: typed functions that return a whole transfer. Each says its paper, expected result, cost and hardware."""

from collections.abc import Callable

from beliefmatch.engine.transfer import Transfer
from beliefmatch.recipes.digits import digits
from beliefmatch.recipes.zero_shot import zero_shot

ALL: dict[str, Callable[..., Transfer]] = {"zero_shot": zero_shot, "digits": digits}

__all__ = ["ALL", "digits", "zero_shot"]
