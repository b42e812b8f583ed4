"""Settings of runs as flat names and short texts, and where they differ."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath
from typing import Any

Settings = dict[str, str]
"""Texts by dotted name, such as source.student_steps."""

OWN = "its own, made with its seed"
"""What stands for a teacher that lies in the run folder."""


def flatten(content: Any, name: str = "") -> Settings:
    """Return settings with type tags as texts by dotted name; a type stands at the name of what it is the type of."""
    if not isinstance(content, dict) or content.get("type") == "Path":
        return {name: show(content)}
    flat = {name: str(content["type"])} if name and "type" in content else {}
    for key, value in content.items():
        if key != "type":
            flat |= flatten(value, f"{name}.{key}" if name else key)
    return flat


def show(value: Any) -> str:
    """Return one value as text: paths as such, pairs of taps as one with the other, nothing as none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and value.get("type") == "Path":
        return str(value.get("path"))
    if isinstance(value, dict):
        return " with ".join(show(part) for key, part in value.items() if key != "type")
    if isinstance(value, list):
        return ", ".join(show(part) for part in value) or "none"
    return str(value)


def is_default(name: str, defaults: Collection[str]) -> bool:
    """Whether a setting, or one that it is a part of, has the default of its class."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in defaults for end in range(1, len(parts) + 1))


def differing(all_settings: Sequence[Settings]) -> list[str]:
    """Return the names of settings that are not the same everywhere, in the order in which they stand."""
    names = dict.fromkeys(name for settings in all_settings for name in settings)
    return [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]


PREFERRED = ("recipe", "teacher.architecture", "student.architecture", "rounds")
"""What to tell runs apart by, if that is possible."""
MAX_PARTS = 3
MAX_WIDTH = 28


def labels(all_settings: Sequence[Settings], folders: Sequence[str]) -> list[str]:
    """Return names after what differs, in as few words as tell all apart.

    Args:
        all_settings: one for each.
        folders: names to fall back on.
    """
    differ = differing(all_settings)
    order = [*(name for name in PREFERRED if name in differ), *(name for name in differ if name not in PREFERRED)]
    chosen: list[str] = []
    found = [""] * len(all_settings)
    for name in order:
        more = _texts(all_settings, [*chosen, name])
        if len(set(more)) > len(set(found)):
            chosen, found = [*chosen, name], more
    if len(all_settings) == 1:
        return [all_settings[0].get("recipe", folders[0])]
    if len(set(found)) == len(found) and len(chosen) <= MAX_PARTS:
        return found
    return list(folders)


def _texts(all_settings: Iterable[Settings], names: Sequence[str]) -> list[str]:
    return [", ".join(_part(name, settings.get(name, "none")) for name in names) for settings in all_settings]


def _part(name: str, text: str) -> str:
    if "/" in text:
        text = PurePath(text).name
    short = text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 1]}\N{HORIZONTAL ELLIPSIS}"
    return short if name == "recipe" else f"{name.removesuffix('.architecture').replace('_', ' ')} {short}"
