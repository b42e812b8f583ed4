"""Recipes: typed functions of a `Setup` that return a whole transfer.

Each names its paper, expected result, cost and hardware. Beside the setup each takes, as far as it has them, where
inputs come from (`source`), what the student matches on them (`objective`) and what moves the student (`optimiser`).
"""

import importlib
from collections.abc import Callable

from beliefmatch.recipes.best import best
from beliefmatch.recipes.cmi import cmi
from beliefmatch.recipes.dafl import dafl
from beliefmatch.recipes.deep_inversion import deep_inversion
from beliefmatch.recipes.dfad import dfad
from beliefmatch.recipes.dfq import dfq
from beliefmatch.recipes.digits import digits
from beliefmatch.recipes.fast import fast
from beliefmatch.recipes.few_shot import few_shot
from beliefmatch.recipes.fine_tune import fine_tune
from beliefmatch.recipes.nayer import nayer
from beliefmatch.recipes.noise import noise
from beliefmatch.recipes.setup import Defaults, Setup
from beliefmatch.recipes.stored import SETTINGS_TYPES, read_transfer
from beliefmatch.recipes.toy import toy
from beliefmatch.recipes.toy_generator import toy_generator
from beliefmatch.recipes.unlabelled import unlabelled
from beliefmatch.recipes.zero_shot import zero_shot
from beliefmatch.training.transfer import Transfer

ALL: dict[str, Callable[..., Transfer]] = {
    "zero_shot": zero_shot,
    "best": best,
    "digits": digits,
    "dafl": dafl,
    "dfad": dfad,
    "dfq": dfq,
    "deep_inversion": deep_inversion,
    "cmi": cmi,
    "fast": fast,
    "nayer": nayer,
    "noise": noise,
    "unlabelled": unlabelled,
    "few_shot": few_shot,
    "fine_tune": fine_tune,
    "toy": toy,
    "toy_generator": toy_generator,
}


def defaults_of(name: str) -> Defaults:
    """Return what a recipe takes where its setup names nothing."""
    return importlib.import_module(f"beliefmatch.recipes.{name}").DEFAULTS


__all__ = [
    "ALL",
    "SETTINGS_TYPES",
    "Defaults",
    "Setup",
    "best",
    "cmi",
    "dafl",
    "deep_inversion",
    "defaults_of",
    "dfad",
    "dfq",
    "digits",
    "fast",
    "few_shot",
    "fine_tune",
    "nayer",
    "noise",
    "read_transfer",
    "toy",
    "toy_generator",
    "unlabelled",
    "zero_shot",
]
