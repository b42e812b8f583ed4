"""Refined textures, ours: DeepInversion (Yin et al. 2020) begun at textures (Baradad et al. 2021) instead of at noise.

A texture has borders, areas and strokes already, so a few steps suffice to make the teacher take it for a class drawn
at random, and its batch-norm layers see what they remember. Half of what the student learns from are these; half are
textures as they were drawn, which keep it right where the teacher is not sure. A teacher without batch-norm remembers
nothing that refining could bring back, so that its student learns from textures alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_fraction, check_positive
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.functional.textures import textures
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import make_adam
from beliefmatch.sources.base import AbstractSource, Batch, Needs, Plan, take_local_shard
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pool import as_inputs
from beliefmatch.sources.pooled import (
    PooledSettings,
    PooledState,
    batch_losses,
    check_pooled,
    draw_labels,
    make_round,
    short_settings,
    start_pooled,
)

REFINED_FRACTION = 0.5
"""Of each batch, where the teacher remembers statistics."""


@dataclass(frozen=True, kw_only=True)
class RefinedTextures(PooledSettings, AbstractSource[PooledState]):
    """Textures, some as they are drawn and some refined and kept. All settings are ours.

    Vectors have no positions: each feature is drawn alone. What has no known pixels is unbounded.
    """

    citation: ClassVar[str] = (
        "Yin et al. 2020, Dreaming to Distill, CVPR, begun at the textures of Baradad et al. 2021, Learning to See by "
        "Looking at Noise, NeurIPS"
    )

    making_steps: int = 20
    """Steps that each batch takes."""
    student_steps: int = 20
    """Student steps a round."""
    warm_up: int = 10
    """Batches made before the first student step."""
    capacity: int = 20_000
    """Most inputs kept; a new one then replaces the oldest. None are set aside for more than a run makes."""
    refined_fraction: float | None = None
    """Part of each of the student's batches that is refined; the rest are textures as they are drawn. None: half where
    the teacher's batch-norm remembers statistics, else 0. With 0 nothing is refined or kept, and no gradient of the
    teacher is needed."""
    curve_fraction: float = 0.6
    """Part of the textures that are figures of curves, where inputs are images; all others are areas."""
    learning_rate: float = 0.1
    """Adam's learning rate for the textures, whose values lie in [0, 1]."""
    augmentation: Augmentation | None = "crop"
    """Of what the networks see of images, while they are made and afterwards: none, crops after padding, or crop_flip
    for mirror images too."""
    padding: int = 2
    """Pixels that are padded on each side before a crop."""
    terms: InversionLossWeights = InversionLossWeights(statistics=1.0, one_hot=1.0)
    """What each batch minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need, where something is refined."""
        return self.terms.needs() if self.refined_fraction != 0 else Needs()

    def check(self) -> None:
        """Check what all pools check, the fractions and the learning rate."""
        check_pooled(self)
        check_positive(self, "source", "learning_rate")
        check_fraction(self, "source", "refined_fraction", "curve_fraction")

    def resolve(self, teacher: Teacher) -> Self:
        """Decide by the teacher's batch-norm layers whether anything is refined, where the settings leave it open."""
        if self.refined_fraction is not None:
            return self
        return replace(
            self, refined_fraction=REFINED_FRACTION if teacher.batch_norms and self.terms.statistics else 0.0
        )

    def for_preflight(self) -> Self:
        """Return the same settings with few steps and few inputs."""
        return replace(self, **short_settings(self))

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> PooledState:
        """Build an empty pool; the smallest that there is where nothing will be kept."""
        smallest = fabric.world_size
        keeping = self if self.refined_fraction else replace(self, made_batch=smallest, capacity=smallest)
        # The teacher's outputs are not kept: it runs on new textures and on those of the pool at once.
        return start_pooled(keeping, teacher, plan, fabric, keeps_beliefs=False)

    def improve(self, state: PooledState, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Refine the batches of one round, if any part of the student's is to be refined."""
        if not self.refined_fraction:
            return {}
        return make_round(
            self, state, lambda weights: self.make(state, weights, teacher, student, fabric), teacher, fabric
        )

    def make(
        self, state: PooledState, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Refine a batch of textures; images stay between black and white."""
        labels = draw_labels(state, teacher.num_classes, fabric)
        free = nn.Parameter(self._draw(state, state.local_made_batch, state.random, fabric).clone())

        def made() -> Tensor:
            if state.pool.pixels is not None:
                with torch.no_grad():
                    free.clamp_(0, 1)
            return as_inputs(free, state.pool.pixels)

        return optimise_inputs(
            made,
            batch_losses(state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric),
            make_adam([free], self.learning_rate),
            fabric,
            steps=self.making_steps,
            micro_batch=state.micro_batch,
        )

    def batches(self, state: PooledState, fabric: Fabric) -> Iterator[Batch]:
        """Draw a part of each batch from the pool, and new textures for the rest."""
        num_refined = self._num_refined(state)
        for _ in range(self.student_steps):
            parts = [state.pool.draw(num_refined, state.random, fabric).inputs] if num_refined else []
            if num_refined < state.local_batch_size:
                parts.append(self._fresh(state, state.local_batch_size - num_refined, state.random, fabric))
            yield Batch(inputs=torch.cat(parts))

    def end_round(self, state: PooledState) -> None:
        """Count the round."""
        state.rounds += 1

    def metadata(self, state: PooledState) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: PooledState, fabric: Fabric) -> Tensor:
        """Return the newest of the pool, and textures that would come next."""
        newest = state.pool.newest(self._num_refined(state))
        fresh = self._fresh(state, state.local_batch_size, state.random.clone_state(), fabric)
        return torch.cat([newest, fresh[: state.local_batch_size - len(newest)]])

    def _num_refined(self, state: PooledState) -> int:
        return round((self.refined_fraction or 0.0) * state.local_batch_size)

    def _fresh(self, state: PooledState, count: int, random: torch.Generator, fabric: Fabric) -> Tensor:
        return as_inputs(self._draw(state, count, random, fabric), state.pool.pixels)

    def _draw(self, state: PooledState, local_count: int, random: torch.Generator, fabric: Fabric) -> Tensor:
        """Draw this process's shard of the textures that all of them draw, (local count, *shape), in [0, 1]."""
        shape = tuple(state.pool.stored.shape[1:])
        count = local_count * fabric.world_size
        drawn = textures(count, shape, random, state.pool.dtype, curve_fraction=self.curve_fraction)
        return take_local_shard(drawn, local_count, fabric)
