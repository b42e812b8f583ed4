"""The interface of a trained network, wherever it comes from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection


@dataclass(frozen=True, kw_only=True)
class AbstractNetwork(ABC):
    """A trained network, as settings hold it."""

    architecture: str
    """What it is called in run.json, the report and the model card."""
    weights: Path | None = None
    """File of weights to load into it. None: it has them."""

    @abstractmethod
    def load_inspected(self, spec: InputSpec, *, role: str) -> tuple[nn.Module, Inspection]:
        """Return a network of its own, on the CPU, in 32 bits, with logits of at least two classes, and inspect it.

        Args:
            spec: of its inputs.
            role: what to call it in errors: teacher or student.

        Raises:
            BeliefMatchError: it cannot be had, or does not take such inputs.
        """

    @abstractmethod
    def known_inputs(self) -> InputSpec | None:
        """Return what the network takes, as far as it says so itself; None: it does not."""
