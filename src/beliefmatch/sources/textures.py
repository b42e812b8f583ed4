"""Textures: Baradad et al. 2021, "Learning to See by Looking at Noise", here as inputs for distillation.

Random images with the spectra and borders of real ones, new for every student step. Nothing is trained and nothing is
sought, so a batch costs a Fourier transform, and there is no generator that could collapse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.functional.textures import textures
from beliefmatch.models.teacher import Teacher
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan
from beliefmatch.sources.checks import check_positive
from beliefmatch.sources.pool import PixelRange, pixel_range


@dataclass(kw_only=True)
class TexturesState:
    """All that moves."""

    random: torch.Generator
    share: int = field(metadata=FIXED)
    """Examples a batch in this process."""
    shape: tuple[int, ...] = field(metadata=FIXED)
    pixels: PixelRange | None = field(metadata=FIXED)
    dtype: torch.dtype = field(metadata=FIXED)


@dataclass(frozen=True, kw_only=True)
class Textures(AbstractSource[TexturesState]):
    """Random textures, from black to white where the normalisation of images is known, elsewhere of mean 0 and the
    variance of a uniform distribution of variance 1. Vectors have no positions: each feature is drawn alone.
    """

    citation: ClassVar[str] = "Baradad et al. 2021, Learning to See by Looking at Noise, NeurIPS"

    student_steps: int = 10
    """Student steps a round."""

    def check(self) -> None:
        """Check the number of steps.

        Raises:
            SettingsError: it is not above 0.
        """
        check_positive(self, "student_steps")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> TexturesState:
        """Seed the textures."""
        return TexturesState(
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            share=plan.share(fabric),
            shape=teacher.spec.shape,
            pixels=pixel_range(teacher.spec, fabric.device, teacher.dtype),
            dtype=teacher.dtype,
        )

    def improve(self, state: TexturesState, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Do nothing: textures do not learn."""
        return {}

    def batches(self, state: TexturesState, fabric: Fabric) -> Iterator[Batch]:
        """Draw a batch for every student step."""
        for _ in range(self.student_steps):
            yield Batch(inputs=self._draw(state, state.random, fabric))

    def samples(self, state: TexturesState, fabric: Fabric) -> Tensor:
        """Show the batch that would come next."""
        return self._draw(state, state.random.clone_state(), fabric)

    def _draw(self, state: TexturesState, random: torch.Generator, fabric: Fabric) -> Tensor:
        """Draw this process's share of what all of them draw, (share, *shape)."""
        whole = textures(state.share * fabric.world_size, state.shape, random, state.dtype)
        drawn = whole.narrow(0, fabric.global_rank * state.share, state.share)
        if state.pixels is not None:
            drawn = state.pixels.black + drawn * (state.pixels.white - state.pixels.black)
        else:
            drawn = 12**0.5 * (drawn - 0.5)
        return drawn.contiguous(memory_format=torch.channels_last) if drawn.dim() == 4 else drawn
