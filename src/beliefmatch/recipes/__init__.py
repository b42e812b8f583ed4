"""Recipes: typed functions of a `Setup` that return a whole transfer.

Each names its paper, expected result, cost and hardware. Beside the setup each takes, as far as it has them, where
inputs come from (`source`), what the student matches on them (`objective`) and what moves the student (`optimiser`).
"""

import importlib
from collections.abc import Callable

from beliefmatch.recipe_overviews import OVERVIEWS
from beliefmatch.recipes.best import best as best
from beliefmatch.recipes.cmi import cmi as cmi
from beliefmatch.recipes.dafl import dafl as dafl
from beliefmatch.recipes.deep_inversion import deep_inversion as deep_inversion
from beliefmatch.recipes.dfad import dfad as dfad
from beliefmatch.recipes.dfq import dfq as dfq
from beliefmatch.recipes.digits import digits as digits
from beliefmatch.recipes.fast import fast as fast
from beliefmatch.recipes.few_shot import few_shot as few_shot
from beliefmatch.recipes.fine_tune import fine_tune as fine_tune
from beliefmatch.recipes.nayer import nayer as nayer
from beliefmatch.recipes.noise import noise as noise
from beliefmatch.recipes.setup import Defaults as Defaults
from beliefmatch.recipes.setup import Setup as Setup
from beliefmatch.recipes.stored import SETTINGS_TYPES as SETTINGS_TYPES
from beliefmatch.recipes.stored import read_transfer as read_transfer
from beliefmatch.recipes.toy import toy as toy
from beliefmatch.recipes.toy_generator import toy_generator as toy_generator
from beliefmatch.recipes.unlabelled import unlabelled as unlabelled
from beliefmatch.recipes.zero_shot import zero_shot as zero_shot
from beliefmatch.training.transfer import Transfer

ALL: dict[str, Callable[..., Transfer]] = {
    name: getattr(importlib.import_module(f"{__name__}.{name}"), name) for name in OVERVIEWS
}
"""Each recipe by its name, in the order of the table."""


def defaults_of(name: str) -> Defaults:
    """Return what a recipe takes where its setup names nothing."""
    return importlib.import_module(f"beliefmatch.recipes.{name}").DEFAULTS
