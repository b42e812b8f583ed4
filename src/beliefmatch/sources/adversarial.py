"""Adversarial belief matching: Micaelli & Storkey 2019, "Zero-shot Knowledge Transfer via Adversarial Belief Matching".

A generator seeks inputs on which student and teacher disagree most. Options since then: a fresh pseudo batch for
every student step (Ferles et al. 2020), L1 on centred logits (Fang et al. 2019) and pseudo batches held to the
statistics that the teacher's batch-norm layers remember (Yin et al. 2020).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.errors import SettingsError
from beliefmatch.functional.divergences import DIVERGENCES, DivergenceName
from beliefmatch.models.generators import make_generator
from beliefmatch.models.placement import place
from beliefmatch.models.taps import beliefs
from beliefmatch.models.teacher import Teacher
from beliefmatch.models.zoo import locate
from beliefmatch.optimisers import Adam, Optimisation
from beliefmatch.sources.ascent import input_gradient
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan
from beliefmatch.sources.noise import NoiseStream


@dataclass(kw_only=True)
class AdversarialState:
    """All that moves."""

    generator: nn.Module
    optimisation: Optimisation
    noise: NoiseStream
    round_noise: Tensor
    """(batch, noise size), drawn for this round."""
    micro_batch: int | None = field(metadata=FIXED)
    """Examples that pass teacher and student at once; the generator takes the whole batch."""


@dataclass(frozen=True, kw_only=True)
class Adversarial(AbstractSource[AdversarialState]):
    """A generator trained against the student. The student is in train mode in the generator's step too, so its
    batch-norm statistics move there. Defaults: the paper's released code, but for the scale of the divergence.
    """

    citation: ClassVar[str] = (
        "Micaelli & Storkey 2019, Zero-shot Knowledge Transfer via Adversarial Belief Matching, NeurIPS"
    )

    generator_steps: int = 1
    """Generator steps a round."""
    student_steps: int = 10
    """Student steps a round."""
    noise_size: int = 100
    """Length of the noise vector z."""
    generator: str | None = None
    """Your own generator as file.py:function, called without arguments: it returns a module that maps (batch, noise
    size) to (batch, *input shape). None: one that fits the input shape."""
    fresh_noise: bool = False
    """Draw new noise, and so a new pseudo batch, for every student step; otherwise one z serves the whole round."""
    divergence: DivergenceName = "kl"
    """What the generator maximises: KL, Jensen-Shannon (both in nats), or mean L1 on centred logits (in logits)."""
    divergence_weight: float = 1.0
    """Factor of the divergence, averaged over examples."""
    temperature: float = 1.0
    """Both logits are divided by it."""
    batch_norm_weight: float = 0.0
    """Factor of the gap between pseudo batch and the teacher's batch-norm statistics, which the generator minimises."""
    learning_rate: float = 1e-3
    """Adam's learning rate for the generator, falling to 0 by a cosine over all rounds."""
    gradient_clip: float = 5.0
    """Largest L2 norm of the generator's gradient."""

    @property
    def reads_batch_norms(self) -> bool:
        """Whether the statistics have a weight."""
        return self.batch_norm_weight != 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "generator", self.generator and locate(self.generator))

    def check(self) -> None:
        """Check steps, sizes, temperature and learning rate.

        Raises:
            SettingsError: one is not above 0.
        """
        if self.generator is not None and ":" not in self.generator:
            raise SettingsError(f"source.generator is {self.generator!r}; expected my_file.py:make_generator")
        for name in ("generator_steps", "student_steps", "noise_size", "temperature", "learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"source.{name} must be above 0; got {getattr(self, name)}")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> AdversarialState:
        """Make a fresh generator for the teacher's inputs. Seeds the noise alone; weights follow torch's own seed."""
        generator = make_generator(self.noise_size, teacher.spec, own=self.generator)
        place(generator, fabric.device, teacher.dtype)
        noise = NoiseStream(
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            share=plan.share(fabric),
            size=self.noise_size,
            dtype=teacher.dtype,
        )
        optimiser = Adam(learning_rate=self.learning_rate, gradient_clip=self.gradient_clip)
        optimisation = optimiser.start(generator, plan.num_rounds)
        round_noise = torch.zeros(noise.share, self.noise_size, dtype=teacher.dtype, device=fabric.device)
        return AdversarialState(
            generator=generator,
            optimisation=optimisation,
            noise=noise,
            round_noise=round_noise,
            micro_batch=plan.micro_batch,
        )

    def improve(
        self, state: AdversarialState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Take the generator steps of one round, all on the same noise."""
        state.round_noise.copy_(state.noise.draw(fabric))
        rows = [self._generator_step(state, teacher, student, fabric) for _ in range(self.generator_steps)]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def batches(self, state: AdversarialState, fabric: Fabric) -> Iterator[Batch]:
        """Generate with the improved generator: once a round, or for every student step."""
        batch = None
        for _ in range(self.student_steps):
            if batch is None or self.fresh_noise:
                noise = state.noise.draw(fabric) if self.fresh_noise else state.round_noise
                with torch.no_grad(), fabric.autocast():
                    batch = Batch(inputs=state.generator(noise).to(noise.dtype))
            yield batch

    def end_round(self, state: AdversarialState) -> None:
        """Move the generator's learning rate along its schedule."""
        state.optimisation.end_round()

    def samples(self, state: AdversarialState, fabric: Fabric) -> Tensor:
        """Generate from this round's noise without moving the generator's batch-norm statistics."""
        buffers = {name: buffer.clone() for name, buffer in state.generator.named_buffers()}
        with torch.no_grad(), fabric.autocast():
            inputs = torch.func.functional_call(state.generator, buffers, (state.round_noise,))
        return inputs.to(state.round_noise.dtype)

    def _generator_step(
        self, state: AdversarialState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        def losses(inputs: Tensor) -> dict[str, Tensor]:
            with fabric.autocast():
                return self._losses(inputs, teacher, student)

        with fabric.autocast():
            generated = state.generator(state.round_noise)
        gradient, found = input_gradient(losses, generated, state.micro_batch)
        generated.backward(gradient)
        norm = state.optimisation.step(fabric)
        loss = torch.stack(list(found.values())).sum()
        return {"generator_loss": loss, **found, "generator_gradient_norm": norm}

    def _losses(self, inputs: Tensor, teacher: Teacher, student: nn.Module) -> dict[str, Tensor]:
        read = teacher.beliefs(inputs, tap_batch_norms=self.reads_batch_norms)
        divergence = DIVERGENCES[self.divergence](read.logits, beliefs(student, inputs).logits, self.temperature)
        losses = {"generator_divergence": -self.divergence_weight * divergence.mean()}
        if self.reads_batch_norms:
            losses["generator_statistics"] = self.batch_norm_weight * teacher.statistics_gap(read)
        return losses
