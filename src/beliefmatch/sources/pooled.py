"""Sources that make one batch after the other and keep them: a round makes some, and draws from all.

What they have in common beyond a round stands here as functions, which a method calls to make its batch.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.errors import SettingsError
from beliefmatch.functional.augmentation import Augmentation, augment
from beliefmatch.functional.diversity import diversity
from beliefmatch.networks.taps import Outputs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan, gather_shards, local_shard, take_local_shard
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pool import Pool, make_pool

Make = Callable[[InversionLossWeights], tuple[Tensor, dict[str, Tensor]]]
"""Makes one batch that minimises these terms: this process's shard, and the losses of each step, (steps,)."""


@dataclass(kw_only=True)
class PooledState:
    """All that moves in each of these sources; a method adds its own."""

    pool: Pool
    random: torch.Generator
    """Draws classes, noise, fresh weights, augmentations and batches."""
    rounds: int
    """Rounds completed."""
    local_batch_size: int = field(metadata=FIXED)
    """Examples a batch in this process."""
    local_made_batch: int = field(metadata=FIXED)
    """Inputs made at a time in this process."""
    micro_batch: int | None = field(metadata=FIXED)


State = TypeVar("State", bound=PooledState)


@dataclass(frozen=True, kw_only=True)
class PooledSettings:
    """What can be set of every source that keeps a pool."""

    making_steps: int
    """Steps that each batch takes."""
    student_steps: int = 400
    """Student steps a round, each on a batch drawn from the pool."""
    batches_per_round: int = 1
    """Batches made a round."""
    warm_up: int = 0
    """Batches made before the first student step, without the adversarial term."""
    made_batch: int | None = None
    """Inputs made at a time, over all processes together. None: as many as a batch of the student's."""
    capacity: int = 50_000
    """Most inputs kept; a new one then replaces the oldest. None are set aside for more than a run makes."""
    augmentation: Augmentation | None = None
    """Of what the networks see of images, while they are made and afterwards: none, crops after padding, or crop_flip
    for mirror images too. None: what the recipe finds right, or else none."""
    padding: int = 4
    """Pixels that are padded on each side before a crop."""

    terms: InversionLossWeights
    """What each batch minimises."""


@dataclass(frozen=True, kw_only=True)
class AbstractPooled(PooledSettings, AbstractSource[State]):
    """Batches made one by one, each by steps of its own, and kept in a pool that the student learns from.

    Images of known normalisation are bounded to the range of pixels and kept in 8 bits a value; all else is unbounded
    and kept in bfloat16. Crops and flips need height and width. The student is in eval mode unless the terms say
    otherwise. Of each batch the step with the lowest loss is kept.
    """

    why_eager: ClassVar[str] = "the host makes batches for a pool and counts what it holds"

    @abstractmethod
    def make(
        self, state: State, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Build one batch.

        Args:
            state: of the method.
            weights: of the terms to minimise: `self.terms`, without the adversarial one while the pool warms up.
            teacher: stays.
            student: stays.
            fabric: precision and processes.

        Returns:
            This process's shard, (local made batch, *shape), and the losses of each step, (steps,).
        """

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the same settings with few steps and few inputs."""
        return replace(self, **short_settings(self))

    def improve(self, state: State, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Build the batches of one round; before the first, those that warm the pool up."""
        return make_round(
            self, state, lambda weights: self.make(state, weights, teacher, student, fabric), teacher, fabric
        )

    def batches(self, state: State, fabric: Fabric) -> Iterator[Batch]:
        """Draw from the pool."""
        for _ in range(self.student_steps):
            yield state.pool.draw(state.local_batch_size, state.random, fabric)

    def end_round(self, state: State) -> None:
        """Count the round."""
        state.rounds += 1

    def metadata(self, state: State) -> dict[str, Any]:
        """Return nothing: all is in the settings."""
        return {}

    def samples(self, state: State, fabric: Fabric) -> Tensor:
        """Return the newest of the pool."""
        return state.pool.newest(state.local_batch_size)


def check_pooled(settings: PooledSettings) -> None:
    """Check numbers of steps and batches, the padding and the terms.

    Raises:
        SettingsError: one is out of its range.
    """
    check_positive(settings, "source", "making_steps", "student_steps", "batches_per_round", "capacity", "made_batch")
    check_not_negative(settings, "source", "warm_up", "padding")
    _check_capacity(settings, settings.made_batch or 0)
    settings.terms.check()
    if settings.warm_up:
        replace(settings.terms, adversarial=0.0).check()


def short_settings(settings: PooledSettings) -> dict[str, Any]:
    """Return what makes a round short: few steps and few inputs."""
    few = {name: min(getattr(settings, name), 2) for name in ("making_steps", "student_steps", "warm_up")}
    return few | {"batches_per_round": 1, "made_batch": None}


def start_pooled(
    settings: PooledSettings, teacher: Teacher, plan: Plan, fabric: Fabric, *, keeps_beliefs: bool = True
) -> PooledState:
    """Build what all these sources need: an empty pool and a random generator.

    Args:
        settings: of the source.
        teacher: for its inputs.
        plan: of the run.
        fabric: device and processes.
        keeps_beliefs: whether to keep the teacher's outputs for the pool, where nothing is augmented.

    Raises:
        SettingsError: the pool holds less than a batch, or a batch cannot be shared evenly.
        NetworkError: a term reads something that the teacher does not have.
    """
    settings.terms.check_fit(teacher)
    making = replace(plan, batch_size=settings.made_batch or plan.batch_size)
    _check_capacity(settings, making.batch_size)
    total = (plan.num_rounds * settings.batches_per_round + settings.warm_up) * making.batch_size
    pool = make_pool(
        min(settings.capacity, total),
        teacher,
        fabric.device,
        augmentation=settings.augmentation,
        padding=settings.padding,
        micro_batch=plan.micro_batch,
        keeps_beliefs=keeps_beliefs,
    )
    return PooledState(
        pool=pool,
        random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
        rounds=0,
        local_batch_size=plan.local_batch_size(fabric),
        local_made_batch=making.local_batch_size(fabric),
        micro_batch=plan.micro_batch,
    )


def make_round(
    settings: PooledSettings, state: PooledState, make: Make, teacher: Teacher, fabric: Fabric
) -> dict[str, Tensor]:
    """Build the batches of one round and keep them; before the first round, those that warm the pool up.

    Their diversity is recorded, since a pool remembers others long after all that is made is alike.

    Returns:
        Losses of each step, (steps,), and the diversity of each batch, (batches,).
    """
    if state.rounds == 0:
        weights = replace(settings.terms, adversarial=0.0)
        for _ in range(settings.warm_up):
            _make_and_keep(state, make, weights, teacher, fabric)
    rows = [_make_and_keep(state, make, settings.terms, teacher, fabric) for _ in range(settings.batches_per_round)]
    return {f"generator_{name}": torch.cat([row[name] for row in rows]) for name in rows[0]}


def batch_losses(
    state: PooledState,
    *,
    weights: InversionLossWeights,
    labels: Tensor | None,
    teacher: Teacher,
    student: nn.Module,
    fabric: Fabric,
    more: Callable[[Tensor, Outputs], dict[str, Tensor]] | None = None,
) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return the function that computes a batch's losses as the networks see it: augmented, if it is to be.

    Args:
        state: draws the augmentation.
        weights: of the terms to minimise.
        labels: (local made batch,), classes asked for; or None. Micro-batches come in order, and so do their
            labels.
        teacher: is read.
        student: runs where the divergence has a weight.
        fabric: precision.
        more: losses of a method's own, of the batch before it was augmented and of the teacher's outputs after, its
            features among them.
    """
    position = 0

    def losses(inputs: Tensor) -> dict[str, Tensor]:
        nonlocal position
        wanted = None
        if labels is not None:
            wanted = labels[position : position + len(inputs)]
            position = (position + len(inputs)) % len(labels)
        seen = augment_made(state, inputs, fabric)
        with fabric.autocast():
            read = weights.read(seen, teacher, features=more is not None)
            found = weights.losses(seen, read, teacher, student, wanted)
            return found if more is None else found | more(inputs, read)

    return losses


def augment_made(state: PooledState, inputs: Tensor, fabric: Fabric) -> Tensor:
    """Crop and flip as batches drawn from the pool are, on black where it is known and else on zeros."""
    pool, shard = state.pool, local_shard(len(inputs), fabric)
    if pool.augmentation == "none":
        return inputs
    black = 0.0 if pool.pixels is None else pool.pixels.black
    return augment(inputs - black, pool.augmentation, pool.padding, state.random, shard) + black


def draw_noise(state: PooledState, *shape: int, fabric: Fabric) -> Tensor:
    """Draw standard normal noise, (local made batch, *shape): this process's shard of what all of them draw."""
    whole = torch.randn(
        (state.local_made_batch * fabric.world_size, *shape),
        generator=state.random,
        device=state.random.device,
        dtype=state.pool.dtype,
    )
    return take_local_shard(whole, state.local_made_batch, fabric)


def draw_labels(state: PooledState, num_classes: int, fabric: Fabric, local_count: int | None = None) -> Tensor:
    """Draw classes at random, (local count,): this process's shard of what all draw. None: for a made batch."""
    local_count = state.local_made_batch if local_count is None else local_count
    count = local_count * fabric.world_size
    whole = torch.randint(num_classes, (count,), generator=state.random, device=state.random.device)
    return take_local_shard(whole, local_count, fabric)


def bound_pixels(state: PooledState, raw: Tensor) -> Tensor:
    """Bound images of known normalisation to the range of pixels, in the type of network inputs."""
    wide = raw.to(state.pool.dtype)
    return state.pool.pixels.bound(wide) if state.pool.pixels else wide


def _check_capacity(settings: PooledSettings, batch_size: int) -> None:
    if batch_size > settings.capacity:
        raise SettingsError(
            f"{Setting('source.capacity')} must be at least the {batch_size} inputs made at a time; got "
            f"{settings.capacity}"
        )


def _make_and_keep(
    state: PooledState, make: Make, weights: InversionLossWeights, teacher: Teacher, fabric: Fabric
) -> dict[str, Tensor]:
    made, found = make(weights)
    whole = gather_shards(made, fabric)
    state.pool.add(whole, teacher, fabric)
    return found | {"diversity": diversity(whole)[None]} if len(whole) > 1 else found
