"""A pool of procedural images, ours: drawn from noise, improved through the teacher, weighed by what it remembers.

Dead leaves and textures (Baradad et al. 2021; Frank & Davis 2025, "What makes a good dataset for knowledge
distillation") cover far more than any real data set, and a student learns much from them alone. Where the teacher has
batch-norm, half of them are refined first as in DeepInversion (Yin et al. 2020), begun at procedural images instead of
at noise. A part may cross the borders between the teacher's classes instead. The student's batches are then drawn from
the pool so that the teacher's classes are balanced and the statistics of its batch-norm layers are met.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_fraction, check_not_negative, check_positive
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.diversity import diversity
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.functional.mixing import mixup
from beliefmatch.functional.textures import textures
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import make_adam
from beliefmatch.sources.base import AbstractSource, Batch, Needs, Plan, gather_shards, local_shard, take_local_shard
from beliefmatch.sources.boundary_crossing import cross_borders
from beliefmatch.sources.family_proportions import match_normalisation
from beliefmatch.sources.importance_weights import ImportanceWeights, draw_rows, is_due, make_importance_weights
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pool import as_inputs
from beliefmatch.sources.pooled import (
    PooledSettings,
    PooledState,
    batch_losses,
    check_pooled,
    draw_labels,
    short_settings,
    start_pooled,
)

CHUNK = 1024
"""Inputs that pass the teacher at once, where nothing else is asked for, to see what they are."""
REFINED_FRACTION = 0.5
"""Of what is made, where the teacher's batch-norm remembers statistics and a gradient of them reaches its inputs."""


@dataclass(kw_only=True)
class ProceduralPoolState(PooledState):
    """What moves: the pool, and how often each of its inputs is drawn."""

    importance: ImportanceWeights


@dataclass(frozen=True, kw_only=True)
class ProceduralPool(PooledSettings, AbstractSource[ProceduralPoolState]):
    """Dead leaves and textures in a pool, some of them refined through the teacher. All settings are ours.

    Signals are intervals and areas. Vectors have no positions: each feature is drawn alone. What has no known pixels is
    unbounded. A teacher without batch-norm, or without a gradient of it, is asked for its outputs alone.
    """

    making_steps: int = 30
    """Steps that refine a batch."""
    student_steps: int = 40
    """Student steps a round."""
    warm_up: int = 8
    """Batches made before the first student step."""
    made_batch: int | None = 256
    """Inputs made at a time, over all processes together. None: as many as a batch of the student's."""
    capacity: int = 20_000
    """Most inputs kept; a new one then replaces the oldest. None are set aside for more than a run makes."""
    leaf_fraction: float = 0.6
    """Part of what is drawn that are dead leaves; the rest are textures."""
    curve_fraction: float = 0.5
    """Part of the textures that are figures of curves, where inputs are images; all others are areas."""
    match_normalisation: bool = True
    """Shift both fractions so that pixels have the mean and std by which inputs are normalised, where these can be
    statistics of images."""
    refined_fraction: float | None = None
    """Part of what is made that is refined. None: half where the teacher's batch-norm remembers statistics, else 0."""
    crossed_fraction: float = 0.0
    """Part of what is made that crosses borders between the teacher's classes, which needs its gradient."""
    crossing_steps: int = 8
    """Steps across borders."""
    crossing_step_size: float = 0.03
    """Root mean square over an input's values of one such step, in units of network inputs."""
    weighted_fraction: float = 0.5
    """Part of the draws by weights of maximum entropy, where the teacher's batch-norm remembers statistics; the rest
    balances the teacher's classes alone."""
    min_effective_fraction: float = 0.05
    """Effective sample size that those weights leave at least, as part of the pool."""
    mixed_fraction: float = 0.5
    """Part of each of the student's batches that is mixed with others."""
    learning_rate: float = 0.03
    """Adam's learning rate for what is refined, whose values lie in [0, 1]."""
    augmentation: Augmentation | None = "crop"
    """Of what the networks see of images, while they are made and afterwards: none, crops after padding, or crop_flip
    for mirror images too."""
    padding: int = 2
    """Pixels that are padded on each side before a crop."""
    terms: InversionLossWeights = InversionLossWeights(statistics=3.0, one_hot=1.0)
    """What a refined batch minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need, where something is refined, and the teacher's gradient where something crosses."""
        needed = self.terms.needs() if self.refined_fraction else Needs()
        crosses = self.crossed_fraction > 0
        return replace(needed, teacher_gradient=needed.teacher_gradient or crosses, classes=needed.classes or crosses)

    def check(self) -> None:
        """Check what all pools check, the fractions and the sizes of steps."""
        check_pooled(self)
        check_positive(self, "source", "learning_rate", "crossing_step_size", "min_effective_fraction")
        check_not_negative(self, "source", "crossing_steps")
        check_fraction(self, "source", "refined_fraction", "crossed_fraction", "leaf_fraction", "curve_fraction")
        check_fraction(self, "source", "weighted_fraction", "min_effective_fraction", "mixed_fraction")

    def resolve(self, teacher: Teacher) -> Self:
        """Decide by the teacher's batch-norm layers whether anything is refined, where the settings leave it open.

        Fractions of the families follow the normalisation. No class is asked for where the teacher's outputs are no
        classes.
        """
        terms = self.terms if teacher.task.knows_classes else replace(self.terms, one_hot=0.0, balance=0.0)
        resolved = replace(self._with_matched_fractions(teacher.spec), terms=terms)
        if self.refined_fraction is not None:
            return resolved
        remembers = teacher.batch_norms and self.terms.statistics and teacher.inspection.statistics_have_gradient
        return replace(resolved, refined_fraction=REFINED_FRACTION if remembers else 0.0)

    def for_preflight(self) -> Self:
        """Return the same settings with few steps and few inputs."""
        return replace(self, **short_settings(self), crossing_steps=min(self.crossing_steps, 1))

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> ProceduralPoolState:
        """Build an empty pool and its weights."""
        pooled = start_pooled(self, teacher, plan, fabric, keeps_beliefs=False)
        importance = make_importance_weights(
            pooled.pool.capacity, teacher, fabric.device, weighted=self.weighted_fraction > 0, seed=plan.seed
        )
        return ProceduralPoolState(**vars(pooled), importance=importance)

    def improve(
        self, state: ProceduralPoolState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Make the batches of one round, before the first also those that warm the pool up, and note what they are."""
        warm_up = self.warm_up if state.rounds == 0 else 0
        num_batches = warm_up + self.batches_per_round
        weights = [replace(self.terms, adversarial=0.0)] * warm_up + [self.terms] * self.batches_per_round
        found = [self._make_batch(state, each, teacher, student, fabric) for each in weights][warm_up:]
        rows = state.pool.newest_rows(num_batches * state.local_made_batch * fabric.world_size)
        for part in parts_of(rows, state.micro_batch or CHUNK):
            state.importance.note(part, state.pool.read(part), teacher, fabric)
        return {f"generator_{name}": torch.cat([row[name] for row in found]) for name in found[0]}

    def _make_batch(
        self,
        state: PooledState,
        weights: InversionLossWeights,
        teacher: Teacher,
        student: nn.Module,
        fabric: Fabric,
    ) -> dict[str, Tensor]:
        """Draw a batch, improve a part of it and keep all; return the losses of each step that refined."""
        refined, crossed = self._counts(state.local_made_batch)
        plain = self._draw(state, state.local_made_batch - refined - crossed, fabric)
        parts, found = [as_inputs(plain, state.pool.pixels)], {}
        if crossed:
            drawn, labels = self._draw(state, crossed, fabric), draw_labels(state, teacher.num_classes, fabric, crossed)
            parts.append(self._cross(state, drawn, labels, teacher, fabric))
        if refined:
            drawn, labels = self._draw(state, refined, fabric), draw_labels(state, teacher.num_classes, fabric, refined)
            losses = batch_losses(
                state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric
            )
            made, found = self._refine(state, drawn, losses, fabric)
            parts.append(made)
        # Each part is gathered alone, so that the order in the pool is that of a single process.
        whole = torch.cat([gather_shards(part, fabric) for part in parts])
        state.pool.add(whole, teacher, fabric)
        return found | {"diversity": diversity(whole)[None]} if len(whole) > 1 else found

    def batches(self, state: ProceduralPoolState, fabric: Fabric) -> Iterator[Batch]:
        """Draw from the pool by importance, twice, and mix a part of the first draw with the second."""
        pool, local, random = state.pool, state.local_batch_size, state.random
        probabilities = state.importance.probabilities(pool.held, self.weighted_fraction)
        shard = local_shard(local, fabric)
        for _ in range(self.student_steps):
            rows = draw_rows(probabilities, 2 * shard.total, random).view(2, -1)
            first, second = (pool.read_augmented(take_local_shard(row, local, fabric), random, fabric) for row in rows)
            yield Batch(inputs=mixup(first, second, self.mixed_fraction, random, shard))

    def end_round(self, state: ProceduralPoolState) -> None:
        """Count the round, and compute the weights of maximum entropy where that is due."""
        state.rounds += 1
        if self.weighted_fraction and is_due(state.rounds):
            state.importance.solve(int(state.pool.held), self.min_effective_fraction)

    def metadata(self, state: ProceduralPoolState) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: ProceduralPoolState, fabric: Fabric) -> Tensor:
        """Return the newest of the pool."""
        return state.pool.newest(state.local_batch_size)

    def _with_matched_fractions(self, spec: InputSpec) -> Self:
        """Return the same settings with the fractions that the normalisation asks for, if any, once and for all."""
        if not (self.match_normalisation and spec.is_made_of_pixels):
            return replace(self, match_normalisation=False)
        textures, bent = 1 - self.leaf_fraction, (1 - self.leaf_fraction) * self.curve_fraction
        leaves, flat, bent = match_normalisation(spec, (self.leaf_fraction, textures - bent, bent))
        curve_fraction = bent / (flat + bent) if flat + bent else self.curve_fraction
        return replace(self, leaf_fraction=leaves, curve_fraction=curve_fraction, match_normalisation=False)

    def _counts(self, num_inputs: int) -> tuple[int, int]:
        """Return how many of so many inputs are refined, and how many others cross borders."""
        refined, crossed = (round(part * num_inputs) for part in (self.refined_fraction or 0.0, self.crossed_fraction))
        return refined, min(crossed, num_inputs - refined)

    def _draw(self, state: PooledState, local_count: int, fabric: Fabric) -> Tensor:
        """Draw this process's shard of what all of them draw, (local count, *shape), in [0, 1], in random order."""
        shape, dtype, random = tuple(state.pool.stored.shape[1:]), state.pool.dtype, state.random
        count = local_count * fabric.world_size
        leaves = round(self.leaf_fraction * count)
        parts = [torch.empty(0, *shape, device=random.device, dtype=dtype)]
        if leaves:
            parts.append(dead_leaves(leaves, shape, random, dtype))
        if leaves < count:
            parts.append(textures(count - leaves, shape, random, dtype, curve_fraction=self.curve_fraction))
        order = torch.rand(count, generator=random, device=random.device).argsort()
        return take_local_shard(torch.cat(parts)[order], local_count, fabric)

    def _cross(self, state: PooledState, drawn: Tensor, labels: Tensor, teacher: Teacher, fabric: Fabric) -> Tensor:
        """Move what was drawn, in [0, 1], towards these classes."""
        return cross_borders(
            as_inputs(drawn, state.pool.pixels),
            labels,
            teacher,
            fabric,
            steps=self.crossing_steps,
            step_size=self.crossing_step_size,
            pixels=state.pool.pixels,
            micro_batch=state.micro_batch,
        )

    def _refine(
        self, state: PooledState, drawn: Tensor, losses: Callable[[Tensor], dict[str, Tensor]], fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Refine what was drawn, in [0, 1]; images stay between black and white."""
        free = nn.Parameter(drawn.clone())

        def made() -> Tensor:
            if state.pool.pixels is not None:
                with torch.no_grad():
                    free.clamp_(0, 1)
            return as_inputs(free, state.pool.pixels)

        return optimise_inputs(
            made,
            losses,
            make_adam([free], self.learning_rate),
            fabric,
            steps=self.making_steps,
            micro_batch=state.micro_batch,
        )


def fill_pool(
    source: ProceduralPool, teacher: Teacher, fabric: Fabric, *, rounds: int, batch_size: int, seed: int
) -> ProceduralPoolState:
    """Make the inputs of so many rounds, from which no student learns.

    Args:
        source: how.
        teacher: from which they are made.
        fabric: device and precision; a single process.
        rounds: each makes a batch of the source's.
        batch_size: of a student, as a plan names it.
        seed: of all noise.
    """
    state = source.start(teacher, teacher.module, Plan(num_rounds=rounds, batch_size=batch_size, seed=seed), fabric)
    for _ in range(rounds):
        source.improve(state, teacher, teacher.module, fabric)
        state.rounds += 1
    return state
