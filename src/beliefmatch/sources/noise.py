"""Noise: the baseline of Micaelli & Storkey 2019 and others, in which nothing seeks and every input is random.

Teachers predict few classes for it, and batch-norm layers see other statistics than on data, so students of noise
are poor; that shows what a source is worth.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Needs, Plan
from beliefmatch.sources.noise_stream import NoiseStream
from beliefmatch.sources.pool import PixelRange, as_inputs, pixel_range

Distribution = Literal["normal", "uniform"]


@dataclass(kw_only=True)
class NoiseState:
    """All that moves."""

    noise: NoiseStream
    shape: tuple[int, ...] = field(metadata=FIXED)
    pixels: PixelRange | None = field(metadata=FIXED)


@dataclass(frozen=True, kw_only=True)
class Noise(AbstractSource[NoiseState]):
    """Inputs that are noise, new for every student step."""

    distribution: Distribution = "normal"
    """normal: mean 0 and variance 1 among network inputs. uniform: from black to white where the normalisation of
    images is known, or else with mean 0 and variance 1."""
    student_steps: int = 10
    """Student steps a round."""

    @property
    def needs(self) -> Needs:
        """Nothing: no gradient is followed."""
        return Needs()

    def check(self) -> None:
        """Check the number of steps."""
        check_positive(self, "source", "student_steps")

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the settings: a round is short already."""
        return self

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> NoiseState:
        """Seed the noise."""
        noise = NoiseStream(
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            local_batch_size=plan.local_batch_size(fabric),
            size=math.prod(teacher.spec.shape),
            dtype=teacher.dtype,
        )
        pixels = pixel_range(teacher.spec, fabric.device, teacher.dtype)
        return NoiseState(noise=noise, shape=teacher.spec.shape, pixels=pixels)

    def improve(self, state: NoiseState, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Return nothing: noise is not improved."""
        return {}

    def batches(self, state: NoiseState, fabric: Fabric) -> Iterator[Batch]:
        """Draw a batch for every student step."""
        for _ in range(self.student_steps):
            yield Batch(inputs=self._draw(state, state.noise, fabric))

    def end_round(self, state: NoiseState) -> None:
        """Change nothing: no schedule moves."""

    def metadata(self, state: NoiseState) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: NoiseState, fabric: Fabric) -> Tensor:
        """Return the batch that would come next."""
        return self._draw(state, replace(state.noise, random=state.noise.random.clone_state()), fabric)

    def _draw(self, state: NoiseState, noise: NoiseStream, fabric: Fabric) -> Tensor:
        drawn = noise.draw(fabric).view(-1, *state.shape)
        if self.distribution == "normal":
            return drawn
        return as_inputs(torch.special.ndtr(drawn), state.pixels)
