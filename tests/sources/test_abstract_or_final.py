"""Abstract or final: what a class of sources, objectives or students fills in, nothing derived from it overrides."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import beliefmatch.objectives
import beliefmatch.sources
import beliefmatch.students
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.noise import Noise


def classes() -> Iterator[type]:
    for package in (beliefmatch.sources, beliefmatch.objectives, beliefmatch.students):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if found.__module__ == module.name:
                    yield found


def overridden(derived: type) -> list[str]:
    """Name each method or property that is concrete in a base and defined anew."""
    return [
        f"{derived.__name__}.{name} overrides that of {base.__name__}"
        for name, value in vars(derived).items()
        if (inspect.isfunction(value) or isinstance(value, property)) and not name.startswith("__")
        for base in derived.__mro__[1:]
        if base.__module__.startswith("beliefmatch")
        and (inspect.isfunction(vars(base).get(name)) or isinstance(vars(base).get(name), property))
        and not getattr(vars(base)[name], "__isabstractmethod__", False)
    ]


@pytest.mark.parametrize("found", sorted(classes(), key=str), ids=str)
def test_nothing_that_is_filled_in_is_overridden(found: type) -> None:
    assert not overridden(found)


def test_the_test_sees_what_is_overridden() -> None:
    class Louder(Noise):
        def improve(self, *_: object) -> dict[str, object]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return {}

    assert overridden(Louder) == ["Louder.improve overrides that of Noise"]


def test_the_papers_step_stands_in_its_own_file() -> None:
    for hole in AbstractSource.__abstractmethods__:
        assert hole in vars(Adversarial), f"{hole} stands elsewhere"
    assert "_step" in vars(Adversarial)
