"""A generator that is trained all along: its state, how it starts, and the pseudo batches that it gives."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import Adam, Optimisation
from beliefmatch.sources.base import FIXED, Batch, Plan
from beliefmatch.sources.generator_settings import GeneratorSettings
from beliefmatch.sources.noise_stream import NoiseStream


@dataclass(kw_only=True)
class TrainedGenerator:
    """All that moves."""

    generator: nn.Module
    optimisation: Optimisation
    noise: NoiseStream
    round_noise: Tensor
    """(batch, noise size), drawn for this round."""
    micro_batch: int | None = field(metadata=FIXED)
    """Examples that pass teacher and student at once; the generator takes the whole batch."""


@dataclass(frozen=True, kw_only=True)
class GeneratorTraining(GeneratorSettings):
    """Settings of a generator that is trained all along, by Adam with a cosine."""

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


def check_training(settings: GeneratorTraining) -> None:
    """Check steps, sizes, learning rate and clip.

    Raises:
        SettingsError: one is out of its range.
    """
    settings.check_generator()
    check_positive(settings, "source", "generator_steps", "student_steps", "learning_rate", "gradient_clip")


def start_generator(settings: GeneratorTraining, teacher: Teacher, plan: Plan, fabric: Fabric) -> TrainedGenerator:
    """Build a fresh generator for the teacher's inputs. Seeds the noise alone; weights follow torch's own seed."""
    generator = settings.make_generator(teacher, fabric.device)
    noise = NoiseStream(
        random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
        local_batch_size=plan.local_batch_size(fabric),
        size=settings.noise_size,
        dtype=teacher.dtype,
    )
    optimiser = Adam(learning_rate=settings.learning_rate, gradient_clip=settings.gradient_clip or math.inf)
    shape = (noise.local_batch_size, settings.noise_size)
    return TrainedGenerator(
        generator=generator,
        optimisation=optimiser.start(generator, plan.num_rounds),
        noise=noise,
        round_noise=torch.zeros(shape, dtype=teacher.dtype, device=fabric.device),
        micro_batch=plan.micro_batch,
    )


def generate_batches(settings: GeneratorTraining, state: TrainedGenerator, fabric: Fabric) -> Iterator[Batch]:
    """Generate the batch of each student step: one for the whole round, or one of fresh noise for every step."""
    batch = None
    for _ in range(settings.student_steps):
        if batch is None or settings.fresh_noise:
            noise = state.noise.draw(fabric) if settings.fresh_noise else state.round_noise
            with torch.no_grad(), fabric.autocast():
                batch = Batch(inputs=state.generator(noise).to(noise.dtype))
        yield batch


def generate_samples(state: TrainedGenerator, fabric: Fabric) -> Tensor:
    """Generate from this round's noise without moving the generator's batch-norm statistics, (batch, *shape)."""
    buffers = {name: buffer.clone() for name, buffer in state.generator.named_buffers()}
    with torch.no_grad(), fabric.autocast():
        inputs = torch.func.functional_call(state.generator, buffers, (state.round_noise,))
    return inputs.to(state.round_noise.dtype)


def stack_rows(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack what each step records, () each, to (steps,)."""
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
