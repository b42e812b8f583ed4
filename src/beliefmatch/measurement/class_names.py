"""Names of classes: given by the user, or kept in the configuration of a Hugging Face model."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from beliefmatch.errors import SettingsError
from beliefmatch.runs.reading import read_bytes
from beliefmatch.setting_names import Setting

MAX_BYTES = 2**20
"""Of a file of names. 21,000 names of ImageNet have a third of that."""
MAX_CHARACTERS = 80
"""Of a name. The rest of a longer one is cut off."""
UNNAMED = "LABEL_"
"""How names begin that transformers gives to classes without one."""


def choose_class_names(given: Sequence[str] | None, network: nn.Module, num_classes: int) -> tuple[str, ...] | None:
    """Return the names that the user gives, or else those in a network's own configuration; None: neither has any.

    Args:
        given: by the user, one a class in their order.
        network: whose classes they are.
        num_classes: number of its classes.

    Raises:
        SettingsError: the user gives another number of names than there are classes.
    """
    if given is None:
        return _names_in_config(network, num_classes)
    if len(given) != num_classes:
        raise SettingsError(
            f"{Setting('class_names')} has {len(given):,} names, but the networks know {num_classes:,} classes: "
            "give one name for "
            "each class, in their order"
        )
    return tuple(map(_clean, given))


def read_class_names(words: Sequence[str]) -> tuple[str, ...]:
    """Return names as they were typed, or the lines of a text file where one word names one.

    Raises:
        FolderError: the file cannot be read.
        SettingsError: the file holds no UTF-8 text.
    """
    # Unlike Path.exists, it does not raise for a name that is no path.
    if len(words) != 1 or not os.path.exists(words[0]):  # noqa: PTH110
        return tuple(words)
    try:
        text = read_bytes(Path(words[0]), MAX_BYTES).decode("utf-8-sig")
    except UnicodeError as error:
        raise SettingsError(f"{words[0]} holds no UTF-8 text: write one class name a line") from error
    return tuple(line.strip() for line in text.strip().splitlines())


def _names_in_config(network: nn.Module, num_classes: int) -> tuple[str, ...] | None:
    """Return the names in `id2label` of a configuration; None where there is none, or it names other classes."""
    found = getattr(getattr(network, "config", None), "id2label", None)
    if not isinstance(found, Mapping):
        return None
    by_number = {str(number): str(name) for number, name in found.items()}
    names = [by_number.get(str(number)) for number in range(num_classes)]
    if len(by_number) != num_classes or any(name is None or name.startswith(UNNAMED) for name in names):
        return None
    return tuple(_clean(name) for name in names if name is not None)


def _clean(name: str) -> str:
    """Return a name on one line of bounded length, as text that every file can hold."""
    text = " ".join(name.encode(errors="replace").decode().split())
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
