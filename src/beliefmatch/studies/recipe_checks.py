"""Checks of the recipes that are compared: none needs images, and none has a head start."""

import inspect
import logging
from collections.abc import Sequence

from beliefmatch import recipes
from beliefmatch.errors import SettingsError, did_you_mean
from beliefmatch.setting_names import Setting
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)


def check_recipes(names: Sequence[str]) -> None:
    """Check that there are such recipes and that none of them needs images.

    Raises:
        SettingsError: one is unknown, needs images, or is named twice, or there are none.
    """
    sources = {name: inspect.signature(recipe).parameters["source"] for name, recipe in recipes.ALL.items()}
    free = [name for name, source in sources.items() if source.default is not inspect.Parameter.empty]
    if not names:
        raise SettingsError(f"name the recipes to compare, such as zero_shot digits; there are {', '.join(free)}")
    for name in names:
        if name not in recipes.ALL:
            raise SettingsError(f"no recipe is called {name!r}; {did_you_mean(name, free)}")
        if name not in free:
            raise SettingsError(f"{name} learns from real images; these do without: {', '.join(free)}")
        if names.count(name) > 1:
            raise SettingsError(f"{name} is named twice")


def check_inputs(transfers: dict[str, Transfer]) -> None:
    """Warn where recipes differ in what inputs they take the teacher to be trained on."""
    found = {name: transfer.inputs for name, transfer in transfers.items()}
    if len(set(found.values())) > 1:
        inputs = "; ".join(f"{name}: {spec.shape}, mean {spec.mean}, std {spec.std}" for name, spec in found.items())
        logger.warning("the recipes do not take the same inputs, so one of them is wrong for this teacher (%s)", inputs)


def check_starts(transfers: dict[str, Transfer]) -> None:
    """Warn where some recipes let the student start from its teacher, which is a head start, and others do not."""
    from_teacher = [
        name for name, transfer in transfers.items() if getattr(transfer.student, "start", None) == "teacher"
    ]
    if 0 < len(from_teacher) < len(transfers):
        logger.warning(
            "the student starts from its teacher's weights in %s and fresh in the others: %s or %s gives all of "
            "them the same start",
            ", ".join(from_teacher),
            Setting("student.start", "fresh"),
            Setting("student.start", "teacher"),
        )
