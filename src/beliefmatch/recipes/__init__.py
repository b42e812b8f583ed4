"""Recipes: typed functions that return a whole transfer. Each says its paper, expected result, cost and hardware."""

from collections.abc import Callable

from beliefmatch.engine.transfer import Transfer
from beliefmatch.recipes.digits import digits
from beliefmatch.recipes.few_shot import few_shot
from beliefmatch.recipes.fine_tune import fine_tune
from beliefmatch.recipes.toy import toy, toy_generator
from beliefmatch.recipes.zero_shot import zero_shot

ALL: dict[str, Callable[..., Transfer]] = {
    "zero_shot": zero_shot,
    "digits": digits,
    "few_shot": few_shot,
    "fine_tune": fine_tune,
    "toy": toy,
    "toy_generator": toy_generator,
}

__all__ = ["ALL", "digits", "few_shot", "fine_tune", "toy", "toy_generator", "zero_shot"]
