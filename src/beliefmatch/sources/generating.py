"""What sources share that train one generator all along: a few steps of it a round, then pseudo batches from it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.networks.placement import place
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import Adam, Optimisation
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan
from beliefmatch.sources.input_gradient import input_gradient
from beliefmatch.sources.minimising import AbstractMinimising
from beliefmatch.sources.noise_stream import NoiseStream
from beliefmatch.sources.own_generator import OwnGenerator


@dataclass(kw_only=True)
class GeneratingState:
    """All that moves."""

    generator: nn.Module
    optimisation: Optimisation
    noise: NoiseStream
    round_noise: Tensor
    """(batch, noise size), drawn for this round."""
    micro_batch: int | None = field(metadata=FIXED)
    """Examples that pass teacher and student at once; the generator takes the whole batch."""


@dataclass(frozen=True, kw_only=True)
class AbstractGenerating(AbstractMinimising, OwnGenerator, AbstractSource[GeneratingState]):
    """A generator trained from noise, by Adam with a cosine. A method says what it minimises, and its defaults."""

    generator_steps: int = 1
    """Generator steps a round."""
    student_steps: int = 1
    """Student steps a round."""
    noise_size: int = 100
    """Length of the noise vector z."""
    fresh_noise: bool = True
    """Draw new noise, and so a new pseudo batch, for every student step; otherwise one z serves the whole round."""
    learning_rate: float = 1e-3
    """Adam's learning rate for the generator, falling to 0 by a cosine over all rounds."""
    gradient_clip: float | None = None
    """Largest L2 norm of the generator's gradient. None: it is not clipped."""

    def check(self) -> None:
        """Check steps, sizes, learning rate and terms.

        Raises:
            SettingsError: one is out of its range.
        """
        self.check_steps()
        self.minimised().check()

    def check_steps(self) -> None:
        """Check all but the terms.

        Raises:
            SettingsError: one is out of its range.
        """
        self.check_generator()
        check_positive(self, "source", "generator_steps", "student_steps", "learning_rate")
        check_positive(self, "source", "gradient_clip")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> GeneratingState:
        """Make a fresh generator for the teacher's inputs. Seeds the noise alone; weights follow torch's own seed.

        Raises:
            NetworkError: a term reads something that the teacher does not have.
        """
        self.minimised().check_fit(teacher)
        generator = self.make_generator(teacher)
        place(generator, fabric.device, teacher.dtype)
        noise = NoiseStream(
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            share=plan.share(fabric),
            size=self.noise_size,
            dtype=teacher.dtype,
        )
        optimiser = Adam(learning_rate=self.learning_rate, gradient_clip=self.gradient_clip or math.inf)
        optimisation = optimiser.start(generator, plan.num_rounds)
        round_noise = torch.zeros(noise.share, self.noise_size, dtype=teacher.dtype, device=fabric.device)
        return GeneratingState(
            generator=generator,
            optimisation=optimisation,
            noise=noise,
            round_noise=round_noise,
            micro_batch=plan.micro_batch,
        )

    def improve(
        self, state: GeneratingState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Take the generator steps of one round, all on the same noise."""
        state.round_noise.copy_(state.noise.draw(fabric))
        rows = [self._generator_step(state, teacher, student, fabric) for _ in range(self.generator_steps)]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def batches(self, state: GeneratingState, fabric: Fabric) -> Iterator[Batch]:
        """Generate with the improved generator: once a round, or for every student step."""
        batch = None
        for _ in range(self.student_steps):
            if batch is None or self.fresh_noise:
                noise = state.noise.draw(fabric) if self.fresh_noise else state.round_noise
                with torch.no_grad(), fabric.autocast():
                    batch = Batch(inputs=state.generator(noise).to(noise.dtype))
            yield batch

    def end_round(self, state: GeneratingState) -> None:
        """Move the generator's learning rate along its schedule."""
        state.optimisation.end_round()

    def samples(self, state: GeneratingState, fabric: Fabric) -> Tensor:
        """Generate from this round's noise without moving the generator's batch-norm statistics."""
        buffers = {name: buffer.clone() for name, buffer in state.generator.named_buffers()}
        with torch.no_grad(), fabric.autocast():
            inputs = torch.func.functional_call(state.generator, buffers, (state.round_noise,))
        return inputs.to(state.round_noise.dtype)

    def _generator_step(
        self, state: GeneratingState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        terms = self.minimised()

        def losses(inputs: Tensor) -> dict[str, Tensor]:
            with fabric.autocast():
                found = terms.losses(inputs, terms.read(inputs, teacher), teacher, student)
            return {f"generator_{name}": term for name, term in found.items()}

        with fabric.autocast():
            generated = state.generator(state.round_noise)
        gradient, found = input_gradient(losses, generated, state.micro_batch)
        generated.backward(gradient)
        norm = state.optimisation.step(fabric)
        loss = torch.stack(list(found.values())).sum()
        return {"generator_loss": loss, **found, "generator_gradient_norm": norm}
