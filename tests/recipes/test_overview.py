"""The overview of recipes names all of them, and counts their student steps as their defaults do."""

import re

import pytest

from beliefmatch import recipes
from beliefmatch.recipes.overview import OVERVIEWS

STEPS = {"one": 1, "five": 5, "ten": 10}


def test_every_recipe_has_a_line_and_best_is_the_first() -> None:
    assert set(OVERVIEWS) == set(recipes.ALL)
    assert next(iter(OVERVIEWS)) == "best"


@pytest.mark.parametrize("name", [name for name, each in OVERVIEWS.items() if "student steps" in each.cost])
def test_student_steps_are_those_of_the_defaults(name: str) -> None:
    defaults = recipes.defaults_of(name)
    count = re.search(r"(\w+) student steps?", defaults.each_round)
    assert count
    steps = STEPS.get(count[1]) or int(count[1])
    assert OVERVIEWS[name].cost.startswith(f"{defaults.rounds * steps:,} student steps")
