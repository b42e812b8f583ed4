"""The table of recipes holds all of them, and says of each what its defaults do."""

import re
from pathlib import Path

import pytest

from beliefmatch import NamedStudent, Network, recipes
from beliefmatch.recipe_overviews import OVERVIEWS, WITHOUT_CLASSES, WITHOUT_GRADIENTS
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.unlabelled import Unlabelled

IMAGES = Path("x.npz")
READ = {
    "few_shot": FewShot(images=IMAGES),
    "fine_tune": FewShot(images=IMAGES),
    "unlabelled": Unlabelled(images=IMAGES),
}
"""Sources that have no default."""
STEPS = {"one": 1, "five": 5, "ten": 10}


def test_every_recipe_has_a_line_and_best_is_the_first() -> None:
    files = {path.stem for path in Path(recipes.__file__).parent.glob("*.py") if "DEFAULTS = " in path.read_text()}
    assert set(OVERVIEWS) == set(recipes.ALL) == files
    assert next(iter(OVERVIEWS)) == "best"


@pytest.mark.parametrize("name", recipes.ALL)
def test_what_a_recipe_needs_is_what_its_defaults_need(name: str) -> None:
    recipe, overview = recipes.ALL[name], OVERVIEWS[name]
    assert getattr(recipes, name) is recipe
    student = NamedStudent(architecture="convnet_4", weights=Path("s.pt") if name == "fine_tune" else None)
    setup = recipes.Setup(teacher=Network(architecture="convnet_8"), student=student, dataset="cifar10")
    transfer = recipe(setup, **({"source": READ[name]} if name in READ else {}))
    needs = transfer.source.needs
    assert overview.needs_gradients == (needs.teacher_gradient or needs.student_gradient or needs.batch_norms)
    assert overview.needs_classes == (needs.classes or transfer.objective.uses_labels)
    assert overview.is_general == (recipes.defaults_of(name).inputs is None)


def test_messages_name_the_recipes_that_serve() -> None:
    assert WITHOUT_GRADIENTS == "best, noise, unlabelled, few_shot or fine_tune"
    assert WITHOUT_CLASSES == "best, zero_shot, dfad, noise or unlabelled"


@pytest.mark.parametrize("name", [name for name, each in OVERVIEWS.items() if "student steps" in each.cost])
def test_student_steps_are_those_of_the_defaults(name: str) -> None:
    defaults = recipes.defaults_of(name)
    count = re.search(r"(\w+) student steps?", defaults.each_round)
    assert count
    steps = STEPS.get(count[1]) or int(count[1])
    assert OVERVIEWS[name].cost.startswith(f"{defaults.rounds * steps:,} student steps")
