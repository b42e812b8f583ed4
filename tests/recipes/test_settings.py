"""Every setting of every recipe against settings.json, so that no default changes by chance.

To accept a change, and then say why in the commit:

    BELIEFMATCH_GOLDEN=write python -m pytest -n 0 tests/recipes/test_settings.py
"""

import dataclasses
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import ALL, Setup
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.named import NamedStudent

FILE = Path(__file__).with_name("settings.json")
TEACHER = Network(architecture="wide_resnet_40_2")
NETWORKS = Setup(teacher=TEACHER, student=NamedStudent(architecture="wide_resnet_16_1"), dataset="cifar10")
TUNED = Setup(
    teacher=TEACHER,
    student=NamedStudent(architecture="wide_resnet_16_1", weights=Path("student.safetensors")),
    dataset="cifar10",
)
OWN = Setup(teacher=TEACHER)
"""For recipes that have a student of their own."""
IMAGES = Path("images.npz")
FEW = {"source": FewShot(images=IMAGES)}

CASES: dict[str, tuple[str, Setup, dict[str, Any]]] = {
    **{name: (name, NETWORKS, {}) for name in ("zero_shot", "best", "dafl", "dfad", "dfq", "deep_inversion", "cmi")},
    **{name: (name, NETWORKS, {}) for name in ("fast", "nayer", "noise")},
    **{name: (name, OWN, {}) for name in ("digits", "toy", "toy_generator")},
    "unlabelled": ("unlabelled", NETWORKS, {"source": Unlabelled(images=IMAGES)}),
    "few_shot": ("few_shot", NETWORKS, FEW),
    "fine_tune": ("fine_tune", TUNED, FEW),
    "zero_shot on svhn": ("zero_shot", replace(NETWORKS, dataset="svhn"), {}),
    "zero_shot on vectors": ("zero_shot", replace(NETWORKS, shape=(64,)), {}),
    "best on svhn": ("best", replace(NETWORKS, dataset="svhn"), {}),
    "best on grey images": ("best", replace(NETWORKS, shape=(1, 28, 28), mean=(0.1,), std=(0.3,)), {}),
    "fast on svhn": ("fast", replace(NETWORKS, dataset="svhn"), {}),
    "few_shot on svhn": (
        "few_shot",
        replace(NETWORKS, dataset="svhn"),
        {"source": FewShot(images=IMAGES, images_per_class=100)},
    ),
    **{f"few_shot by {method}": ("few_shot", NETWORKS, FEW | {"method": method}) for method in ("kd", "at")},
    "few_shot without a teacher": ("few_shot", NETWORKS, FEW | {"method": "no_teacher"}),
}


def flattened(settings: Any, path: str = "") -> dict[str, Any]:
    """Return every field of nested dataclasses under its path, and the type of each dataclass under its own."""
    if not dataclasses.is_dataclass(settings):
        value = settings.name if isinstance(settings, Path) else settings
        return {path: list(value) if isinstance(value, tuple) else value}
    found = {f"{path}.type" if path else "type": type(settings).__name__}
    for field in dataclasses.fields(settings):
        found |= flattened(getattr(settings, field.name), f"{path}.{field.name}" if path else field.name)
    return found


FOUND = {case: flattened(ALL[recipe](setup, **more)) for case, (recipe, setup, more) in CASES.items()}
if os.environ.get("BELIEFMATCH_GOLDEN") == "write":
    FILE.write_text(json.dumps(FOUND, indent=1) + "\n")
EXPECTED: dict[str, dict[str, Any]] = json.loads(FILE.read_text())


def test_every_recipe_is_on_file() -> None:
    assert {recipe for recipe, *_ in CASES.values()} == set(ALL)
    assert set(EXPECTED) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_settings_are_those_on_file(case: str) -> None:
    expected, found, nothing = EXPECTED[case], FOUND[case], "no such setting"
    changed = [
        f"{case}: {field} is expected to be {expected.get(field, nothing)!r}; got {found.get(field, nothing)!r}"
        for field in sorted(expected.keys() | found.keys())
        if expected.get(field, nothing) != found.get(field, nothing)
    ]
    assert not changed, "\n".join(changed)
