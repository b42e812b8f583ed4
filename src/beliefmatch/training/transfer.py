"""The settings of a run: which networks, which inputs, which loss, and for how long."""

from dataclasses import dataclass
from typing import Any

from beliefmatch.checks import check_numbers, check_positive, check_seed
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.optimisers import AbstractOptimiser
from beliefmatch.sources.base import AbstractSource, Plan
from beliefmatch.students.base import AbstractStudent


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Everything that decides what a run computes. Recipes return it."""

    recipe: str
    """Name of the recipe that made these settings."""
    teacher: AbstractNetwork
    """Architecture and weights of the network to learn from."""
    inputs: InputSpec
    """Shape and normalisation of the inputs of both networks."""
    student: AbstractStudent
    """How the network that learns is made."""
    source: AbstractSource[Any]
    """Where the inputs come from."""
    objective: AbstractObjective
    """What the student minimises on them."""
    rounds: int
    """Rounds of the whole run."""
    batch_size: int
    """Examples a batch, over all processes together."""
    student_optimiser: AbstractOptimiser
    """What moves the student, with its schedule over all rounds."""
    seed: int
    """Of fresh weights and all noise, at least 0 and below 2**32."""
    usual_rounds: int | None = None
    """Rounds that the recipe does by default, the paper's where it prints them: what this run is a
    fraction of."""
    minutes: float | None = None
    """Wall time that the rounds were chosen for. None: their number was given."""
    freeze_batch_norm: bool = False
    """Whether the student's batch-norm layers keep the statistics they have, as in eval mode, while it learns."""
    micro_batch: int | None = None
    """Most examples that pass teacher and student at once in one process, so that large batches fit; None for all.
    Gradients are those of the whole batch but for what a batch has as a whole: batch-norm takes its statistics of the
    micro-batch, and so do a source's terms statistics, balance and contrast."""

    def __post_init__(self) -> None:
        check_numbers(self.student_optimiser, "optimiser")
        check_numbers(self)
        check_positive(self, "", "rounds", "batch_size", "micro_batch")
        check_seed(self, "", "seed")
        self.source.check()
        self.objective.check()
        self.student_optimiser.check()

    @property
    def plan(self) -> Plan:
        """What the source needs to know."""
        return Plan(num_rounds=self.rounds, batch_size=self.batch_size, seed=self.seed, micro_batch=self.micro_batch)
