"""What DAFL, DFAD and DFQ have in common: a generator trained all along, each by its own weights of the same terms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import AbstractSource, Batch, Needs, Plan
from beliefmatch.sources.input_gradient import input_gradient
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.trained_generator import (
    GeneratorTraining,
    TrainedGenerator,
    check_training,
    generate_batches,
    generate_samples,
    stack_rows,
    start_generator,
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
        state.round_noise.copy_(state.noise.draw(fabric))
        return stack_rows([self._step(state, teacher, student, fabric) for _ in range(self.generator_steps)])

    def _step(self, state: TrainedGenerator, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        def losses(inputs: Tensor) -> dict[str, Tensor]:
            with fabric.autocast():
                found = self.terms.losses(inputs, self.terms.read(inputs, teacher), teacher, student)
            return {f"generator_{name}": term for name, term in found.items()}

        with fabric.autocast():
            generated = state.generator(state.round_noise)
        gradient, found = input_gradient(losses, generated, state.micro_batch)
        generated.backward(gradient)
        norm = state.optimisation.step(fabric)
        loss = torch.stack(list(found.values())).sum()
        return {"generator_loss": loss, **found, "generator_gradient_norm": norm}

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
