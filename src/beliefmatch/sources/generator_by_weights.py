"""What DAFL, DFAD and DFQ have in common: a generator trained all along, each by its own weights of the same terms."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import AbstractSource, Batch, Needs, Plan
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.trained_generator import (
    GeneratorTraining,
    TrainedGenerator,
    check_training,
    generate_batches,
    generate_samples,
    start_generator,
    train_generator,
)


@dataclass(frozen=True, kw_only=True)
class AbstractGeneratorByWeights(GeneratorTraining, AbstractSource[TrainedGenerator]):
    """A generator trained from noise to minimise weighted terms. A method is its weights and its defaults."""

    terms: InversionLossWeights
    """What the generator minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need that have a weight."""
        return self.terms.needs()

    def check(self) -> None:
        """Check steps, sizes, learning rate and terms."""
        check_training(self)
        self.terms.check()

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the settings: a round is short already."""
        return self

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> TrainedGenerator:
        """Build a fresh generator for the teacher's inputs. Seeds the noise alone; weights follow torch's own seed.

        Raises:
            NetworkError: a term reads something that the teacher does not have.
        """
        self.terms.check_fit(teacher)
        return start_generator(self, teacher, plan, fabric)

    def improve(
        self, state: TrainedGenerator, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Train the generator for one round, all steps on the same noise."""
        return train_generator(self, state, partial(self._losses, teacher, student, fabric), fabric)

    def _losses(self, teacher: Teacher, student: nn.Module, fabric: Fabric, inputs: Tensor) -> dict[str, Tensor]:
        """Compute the weighted terms of a pseudo batch by the names of a log."""
        with fabric.autocast():
            found = self.terms.losses(inputs, self.terms.read(inputs, teacher), teacher, student)
        return {f"generator_{name}": term for name, term in found.items()}

    def batches(self, state: TrainedGenerator, fabric: Fabric) -> Iterator[Batch]:
        """Generate with the improved generator: once a round, or for every student step."""
        return generate_batches(self, state, fabric)

    def end_round(self, state: TrainedGenerator) -> None:
        """Move the generator's learning rate along its schedule."""
        state.optimisation.end_round()

    def metadata(self, state: TrainedGenerator) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: TrainedGenerator, fabric: Fabric) -> Tensor:
        """Generate from this round's noise without moving the generator's batch-norm statistics."""
        return generate_samples(state, fabric)
