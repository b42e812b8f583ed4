"""Counting the forward passes of networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def passes_of(network: nn.Module) -> Iterator[list[int]]:
    """List the number of examples of every pass of a network, copies of it left out, while the block lasts."""
    passes: list[int] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if module is network:
            passes.append(len(inputs[0]))

    handle = network.register_forward_pre_hook(note)
    try:
        yield passes
    finally:
        handle.remove()
