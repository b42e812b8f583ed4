"""Adversarial belief matching: Micaelli & Storkey 2019, "Zero-shot Knowledge Transfer via Adversarial Belief Matching".

A generator seeks inputs on which student and teacher disagree most. Options since then: a fresh pseudo batch for
every student step (Ferles et al. 2020), L1 on centred logits (Fang et al. 2019) and pseudo batches held to the
statistics that the teacher's batch-norm layers remember (Yin et al. 2020).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_any_weight, check_positive
from beliefmatch.functional.divergences import DivergenceName, divergence_factor
from beliefmatch.networks.taps import outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import AbstractSource, Batch, Needs, Plan
from beliefmatch.sources.input_gradient import input_gradient
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
class Adversarial(GeneratorTraining, AbstractSource[TrainedGenerator]):
    """A generator trained against the student. The student is in train mode in the generator's step too, so its
    batch-norm statistics move there. Defaults: the paper's released code, but for the scale of the divergence.
    """

    student_steps: int = 10
    """Student steps a round."""
    fresh_noise: bool = False
    """Draw new noise, and so a new pseudo batch, for every student step; otherwise one z serves the whole round."""
    divergence: DivergenceName = "kl"
    """What the generator maximises: KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits)."""
    divergence_weight: float = 1.0
    """Factor of the divergence, averaged over examples."""
    divide_by_classes: bool = False
    """Divide that factor by the number of classes, as released code that averages the KL over classes does."""
    temperature: float = 1.0
    """Both logits are divided by it."""
    batch_norm_weight: float = 0.0
    """Factor of the gap between pseudo batch and the teacher's batch-norm statistics, which the generator minimises."""
    gradient_clip: float = 5.0
    """Largest L2 norm of the generator's gradient."""

    @property
    def needs(self) -> Needs:
        """Gradients of both networks where the divergence has a weight, and batch-norm where the statistics have."""
        maximises = self.divergence_weight != 0
        return Needs(batch_norms=self.batch_norm_weight != 0, teacher_gradient=maximises, student_gradient=maximises)

    def check(self) -> None:
        """Check steps, sizes, temperature, learning rate and clip, and that one of both weights is not 0."""
        check_training(self)
        check_positive(self, "source", "temperature")
        check_any_weight(self, "source", "divergence_weight", "batch_norm_weight")

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the settings: a round is short already."""
        return self

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> TrainedGenerator:
        """Build a fresh generator for the teacher's inputs. Seeds the noise alone; weights follow torch's own seed."""
        return start_generator(self, teacher, plan, fabric)

    def improve(
        self, state: TrainedGenerator, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Train the generator for one round, all steps on the same noise."""
        state.round_noise.copy_(state.noise.draw(fabric))
        return stack_rows([self._step(state, teacher, student, fabric) for _ in range(self.generator_steps)])

    def _step(self, state: TrainedGenerator, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Train the generator for one step: raise the divergence, by the gradient to the pseudo batch alone."""

        def losses(inputs: Tensor) -> dict[str, Tensor]:
            found: dict[str, Tensor] = {}
            with fabric.autocast():
                read = teacher.outputs(inputs, tap_batch_norms=self.batch_norm_weight != 0)
                if self.divergence_weight:
                    logits = outputs_of(student, inputs).logits
                    divergence = teacher.task.divergence(self.divergence)(read.logits, logits, self.temperature)
                    found["generator_divergence"] = -self._factor(teacher) * divergence.mean()
                if self.batch_norm_weight:
                    found["generator_statistics"] = self.batch_norm_weight * teacher.statistics_gap(read)
            return found

        with fabric.autocast():
            generated = state.generator(state.round_noise)
        gradient, found = input_gradient(losses, generated, state.micro_batch)
        generated.backward(gradient)
        norm = state.optimisation.step(fabric)
        loss = torch.stack(list(found.values())).sum()
        return {"generator_loss": loss, **found, "generator_gradient_norm": norm}

    def _factor(self, teacher: Teacher) -> float:
        """Return the factor of the divergence."""
        classes = teacher.inspection.num_classes
        return divergence_factor(self.divergence_weight, classes, divide_by_classes=self.divide_by_classes)

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
