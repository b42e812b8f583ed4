"""Settings as JSON and back."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import beliefmatch
from beliefmatch import recipes
from beliefmatch.errors import FolderError
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.taps import TapPair
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.optimisers import AbstractOptimiser
from beliefmatch.recipes.stored import SETTINGS_TYPES
from beliefmatch.runs.reading import IN_MEMORY
from beliefmatch.runs.serialisation import classes_in, default_names, differences, from_json, to_json
from beliefmatch.sources.base import AbstractSource
from beliefmatch.students.base import AbstractStudent
from beliefmatch.training.transfer import Transfer
from tiny import tiny_transfer, vector_transfer

FILE = Path("run.json")
ROOMS = tuple(
    f"{beliefmatch.__name__}.{name}" for name in ("sources", "objectives", "networks", "students", "optimisers")
)
"""What training wraps them in while a run is under way stands in no settings."""


def again(content: Any) -> Transfer:
    return from_json(content, Transfer, choices=SETTINGS_TYPES, file=FILE, path="settings.transfer")


@dataclass(frozen=True, kw_only=True)
class Inner:
    first: int
    second: int = 2


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    other: Inner | None = None
    kept: Inner = field(default_factory=lambda: Inner(first=1))
    module: object = field(default=None, metadata=IN_MEMORY)


def test_settings_that_have_the_default_of_their_class_are_named() -> None:
    outer = Outer(name="a", inner=Inner(first=2))
    assert default_names(outer) == ["inner.second", "other", "kept"]
    changed = replace(outer, inner=Inner(first=2, second=3), other=Inner(first=1), kept=Inner(first=3))
    assert default_names(changed) == ["other.second", "kept.second"]


@pytest.mark.parametrize("transfer", [tiny_transfer(), vector_transfer()], ids=["digits", "zero_shot"])
def test_every_setting_survives(transfer: Transfer) -> None:
    taps = (TapPair(teacher="a", student="b"),)
    weights = replace(transfer.teacher, weights=Path("some") / "weights.safetensors")
    transfer = replace(transfer, objective=replace(transfer.objective, taps=taps), teacher=weights)
    assert again(json.loads(json.dumps(to_json(transfer)))) == transfer


def test_objects_name_their_classes() -> None:
    content = to_json(tiny_transfer())
    assert (content["type"], content["source"]["type"]) == ("Transfer", "Adversarial")


def test_any_frozen_dataclass_is_settings() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Inner:
        rates: tuple[float, ...]

    found = to_json(Inner(rates=(0.5, 1.0)))
    assert found == {"type": "Inner", "rates": [0.5, 1.0]}
    assert from_json(found, Inner) == Inner(rates=(0.5, 1.0))


def test_the_types_of_settings_are_all_there_are() -> None:
    """Whoever adds a method adds its classes, so that its runs can be read again."""
    for name in ("sources", "objectives", "students"):
        room = importlib.import_module(f"beliefmatch.{name}")
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    bases = (AbstractSource, AbstractObjective, AbstractNetwork, AbstractStudent, AbstractOptimiser)
    left, found = list(bases), set()
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if (
            kind.__module__.startswith(ROOMS)
            and not inspect.isabstract(kind)
            and not kind.__name__.startswith("Abstract")
        ):
            found.add(kind)
    assert found == set(SETTINGS_TYPES)
    assert len(set(SETTINGS_TYPES)) == len(SETTINGS_TYPES)


def test_the_classes_of_all_settings_are_found_by_their_annotations() -> None:
    found = classes_in(Transfer, *SETTINGS_TYPES)
    assert {"Transfer", "Network", "InputSpec", "TapPair", "Adam", "NamedStudent"} <= set(found)
    assert all(is_dataclass(kind) and not inspect.isabstract(kind) for kind in found.values())
    assert recipes.SETTINGS_TYPES is SETTINGS_TYPES


def test_two_classes_of_one_name_are_a_mistake_of_ours() -> None:
    @dataclass(frozen=True, kw_only=True)
    class NamedStudent:
        size: int

    with pytest.raises(AssertionError, match="two settings are called NamedStudent"):
        classes_in(Transfer, *SETTINGS_TYPES, NamedStudent)


def change(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        for name in path[:-1]:
            content = content[name]
        content[path[-1]] = to

    return edit


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        for name in path[:-1]:
            content = content[name]
        del content[path[-1]]

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("source", "type", to="Popen"), r"settings.transfer.source.type is 'Popen', expected Adversarial, Cmi"),
        (change("source", "type", to="Adam"), "settings.transfer.source.type is 'Adam', expected Adversarial"),
        (change("source", "type", to=["a"]), "settings.transfer.source.type is a list, expected Adversarial"),
        (change("type", to="Adversarial"), "settings.transfer.type is 'Adversarial', expected Transfer"),
        (drop("source", "type"), "settings.transfer.source.type is null, expected Adversarial"),
        (change("source", to=3), "settings.transfer.source is 3, expected an object"),
        (drop("rounds"), "settings.transfer.rounds is missing, expected a whole number"),
        (change("extra", to=1), "settings.transfer.extra is unknown"),
        (change("source", "noise_size", to="many"), "source.noise_size is 'many', expected a whole number"),
        (change("source", "divergence", to="l7"), "source.divergence is 'l7', expected kl or js or l1"),
        (change("inputs", "shape", to=[3, "x"]), r"inputs.shape\[1\] is 'x', expected a whole number"),
        (change("teacher", "weights", to="a.st"), "teacher.weights is 'a.st', expected a path or null"),
        (change("inputs", "std", to=[-1.0]), "settings.transfer.inputs: std must be above 0"),
        (change("rounds", to=0), "settings.transfer: rounds must be above 0"),
        (change("rounds", to=True), "settings.transfer.rounds is true, expected a whole number"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_file_and_path(
    edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = json.loads(json.dumps(to_json(tiny_transfer())))
    edit(content)
    with pytest.raises(FolderError, match=rf"^run\.json is damaged: .*{message}") as caught:
        again(content)
    assert "\n" not in str(caught.value)


def test_no_field_of_settings_may_be_left_out() -> None:
    content = to_json(tiny_transfer())
    for each in fields(Transfer):
        with pytest.raises(FolderError, match=f"settings.transfer.{each.name} is missing"):
            again({name: value for name, value in content.items() if name != each.name})


def test_differences_are_told_field_by_field() -> None:
    old, new = tiny_transfer(), tiny_transfer(rounds=9)
    new = replace(new, source=replace(new.source, divergence="kl"))
    assert differences(to_json(old), to_json(new)) == [
        "source.divergence was l1, is kl now",
        "rounds was 4, is 9 now",
    ]
