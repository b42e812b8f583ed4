"""A source that has started on tiny networks, for tests of what it does round by round."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from beliefmatch.sources.base import AbstractSource
from tiny import begin, tiny_transfer


class Run:
    """A source that has started, and what it needs for a round."""

    def __init__(self, source: AbstractSource[Any], batch_size: int = 8) -> None:
        transfer = replace(tiny_transfer(batch_size=batch_size), source=source)
        settled, state, self.teacher, self.fabric = begin(transfer, "64-true")
        self.source: Any = settled.source
        self.state, self.student = state.source, state.student

    def improve(self) -> dict[str, Tensor]:
        """Do a round's part of the source."""
        found = self.source.improve(self.state, self.teacher, self.student, self.fabric)
        self.source.end_round(self.state)
        return found

    def seen_by_the_teacher(self) -> list[Tensor]:
        """Return the list that all inputs of the teacher go to from now on."""
        seen: list[Tensor] = []
        self.teacher.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
        return seen
