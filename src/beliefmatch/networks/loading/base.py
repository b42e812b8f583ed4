"""The interface of an origin of networks, and the form of their names."""

import ast
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import nn

from beliefmatch.errors import NetworkError, near_names
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.output_kinds import OutputKind

MAX_VALUE = 1000
"""Characters of an argument in a name that is read as a number or a tuple; a longer one stays text."""
MAX_NUMBER = 1_000_000
"""Bound of numbers in arguments. Whoever builds the network may count so far before its first layer."""


@dataclass(frozen=True, kw_only=True)
class AbstractOrigin(ABC):
    """An architecture as the user named it, and what its origin makes of the name."""

    architecture: str

    @abstractmethod
    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network with fresh weights, to train it or to load others.

        Args:
            in_channels: channels of its inputs, where the origin can choose them.
            num_classes: likewise.
            pretrained: begin with the origin's own weights where the name asks for them, as `?pretrained` does.

        Raises:
            NetworkError: it cannot be made.
            ExtraError: the package that it comes from is missing.
        """

    @abstractmethod
    def load(self, spec: InputSpec) -> nn.Module:
        """Build the network with the origin's own weights.

        Args:
            spec: of the inputs that it will get.

        Raises:
            NetworkError: it cannot be made, or has no weights.
            ExtraError: the package that it comes from is missing.
        """

    def known_inputs(self) -> InputSpec | None:
        """Return what the network takes, without loading weights; None where its origin does not say.

        Where it gives the normalisation too, or that there is none, `normalisation_from` is "checkpoint".
        """
        return None

    def known_outputs(self) -> OutputKind | None:
        """Return what its configuration says of its outputs, without loading weights; None where it does not say."""
        return None

    def locate(self) -> str:
        """Return the architecture with any path in it made absolute, so that it is found from anywhere."""
        return self.architecture


def split_query(text: str) -> tuple[str, dict[str, Any]]:
    """Split NAME?key=value&flag into the name and its arguments; values are numbers, tuples, booleans or else text.

    Raises:
        NetworkError: a number is larger than any network has use for.
    """
    name, _, query = text.partition("?")
    arguments: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        arguments[key] = _value(value) if equals else True
        if _largest(arguments[key]) > MAX_NUMBER:
            raise NetworkError(f"{name[:60]} has {key[:60]}={value[:60]}: numbers in a name are at most {MAX_NUMBER:,}")
    return name, arguments


def refuse_misspelt(architecture: str, word: str, *, others: tuple[str, ...] = ()) -> None:
    """Raise an error for a name with an argument that is nearly one of ours, which its origin would take for its own.

    Args:
        architecture: the name.
        word: the argument of ours.
        others: near ones that are the origin's.

    Raises:
        NetworkError: one is; the message names ours.
    """
    for key in split_query(architecture)[1]:
        if key not in (word, *others) and near_names(key, [word], cutoff=0.75):
            raise NetworkError(f"{architecture} has an argument {key!r}; the nearest is {word}")


def _value(text: str) -> Any:
    if len(text) > MAX_VALUE:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _largest(value: Any) -> float:
    """Return the largest size of a number in a value."""
    if isinstance(value, int | float):
        return abs(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set) else ()
    return max(map(_largest, parts), default=0)


def height_and_width(size: object) -> tuple[int, int] | None:
    """Read a size as configurations write it: one number, two, or an entry for each side or for the shorter."""
    match size:
        case int():
            return size, size
        case [int() as height, int() as width]:
            return height, width
        case {"height": int() as height, "width": int() as width}:
            return height, width
        case {"shortest_edge": int() as edge}:
            return edge, edge
        case _:
            return None
