"""An objective whose terms torch.compile has fused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from beliefmatch.networks.taps import Beliefs
from beliefmatch.objectives.base import AbstractObjective


@dataclass(frozen=True, kw_only=True)
class Compiled(AbstractObjective):
    """Another objective, compiled when it is first called. It gives the same terms."""

    inner: AbstractObjective
    run: Callable[[Beliefs, Beliefs, Tensor | None], dict[str, Tensor]] = field(repr=False)

    @classmethod
    def of(cls, objective: AbstractObjective) -> Self:
        """Compile an objective whose taps are settled."""
        return cls(inner=objective, taps=objective.taps, run=torch.compile(objective.__call__, dynamic=False))

    @property
    def uses_taps(self) -> bool:
        """Whether the other one does."""
        return self.inner.uses_taps

    def check(self) -> None:
        """Check the other one.

        Raises:
            SettingsError: one of its settings is out of its range.
        """
        self.inner.check()

    def __call__(self, teacher: Beliefs, student: Beliefs, labels: Tensor | None) -> dict[str, Tensor]:
        """Give the terms of the other one, each (batch,)."""
        return self.run(teacher, student, labels)
