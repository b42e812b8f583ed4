"""What sources share that make one batch after the other and keep them: a round makes some, and draws from all."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.errors import SettingsError
from beliefmatch.functional.augmentation import Augmentation, augment
from beliefmatch.functional.diversity import diversity
from beliefmatch.networks.taps import Beliefs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan, mine, my_place
from beliefmatch.sources.inversion_loss import Terms
from beliefmatch.sources.minimising import Minimising
from beliefmatch.sources.pool import Pool, make_pool


@dataclass(kw_only=True)
class PooledState:
    """All that moves in each of these sources; a method adds its own."""

    pool: Pool
    random: torch.Generator
    """Draws classes, noise, fresh weights, augmentations and batches."""
    rounds: int
    """Rounds completed."""
    share: int = field(metadata=FIXED)
    """Examples a batch in this process."""
    made_share: int = field(metadata=FIXED)
    """Inputs made at a time in this process."""
    micro_batch: int | None = field(metadata=FIXED)


State = TypeVar("State", bound=PooledState)


@dataclass(frozen=True, kw_only=True)
class AbstractPooled(Minimising, AbstractSource[State]):
    """Batches made one by one, each by steps of its own, and kept in a pool that the student learns from.

    Images of known normalisation are bounded to the range of pixels and kept in 8 bits a value; all else is unbounded
    and kept in bfloat16. Crops and flips need height and width. The student is in eval mode unless the terms say
    otherwise. Of each batch the step with the lowest loss is kept.
    """

    why_eager: ClassVar[str] = "the host makes batches for a pool and counts what it holds"
    keeps_beliefs: ClassVar[bool] = True
    """Whether what the teacher says to the pool is kept, where nothing is augmented."""

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
    """Most inputs kept; a new one then takes the place of the oldest. None are set aside for more than a run makes."""
    augmentation: Augmentation | None = None
    """Of what the networks see of images, while they are made and afterwards: none, crops after padding, or crop_flip
    for mirror images too. None: what the recipe finds right, or else none."""
    padding: int = 4
    """Pixels that are padded on each side before a crop."""

    @abstractmethod
    def make(
        self, state: State, terms: Terms, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Make one batch.

        Args:
            state: of the method.
            terms: what to minimise, which is less than `self.terms` while the pool warms up.
            teacher: stays.
            student: stays.
            fabric: precision and processes.

        Returns:
            This process's share, (made share, *shape), and the losses of each step, (steps,).
        """

    def check(self) -> None:
        """Check numbers of steps and batches, the padding and the terms.

        Raises:
            SettingsError: one is out of its range.
        """
        check_positive(self, "source", "making_steps", "student_steps", "batches_per_round", "capacity")
        check_not_negative(self, "source", "warm_up", "padding")
        check_positive(self, "source", "made_batch")
        self._check_capacity(self.made_batch or 0)
        self.terms.check()
        if self.warm_up:
            self._warm_up_terms().check()

    def shortened(self) -> Self:
        """Give the same settings with few steps and few inputs."""
        few = {name: min(getattr(self, name), 2) for name in ("making_steps", "student_steps", "warm_up")}
        return replace(self, **few, batches_per_round=1, made_batch=None)

    def start_pooled(self, teacher: Teacher, plan: Plan, fabric: Fabric) -> PooledState:
        """Make what all these sources need: an empty pool, and what draws.

        Raises:
            SettingsError: the pool holds less than a batch, or a batch cannot be shared evenly.
            NetworkError: a term reads something that the teacher does not have.
        """
        self.terms.check_fit(teacher)
        making = replace(plan, batch_size=self.made_batch or plan.batch_size)
        self._check_capacity(making.batch_size)
        total = (plan.num_rounds * self.batches_per_round + self.warm_up) * making.batch_size
        pool = make_pool(
            min(self.capacity, total),
            teacher,
            fabric.device,
            augmentation=self.augmentation,
            padding=self.padding,
            micro_batch=plan.micro_batch,
            keeps_beliefs=self.keeps_beliefs,
        )
        return PooledState(
            pool=pool,
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            rounds=0,
            share=plan.share(fabric),
            made_share=making.share(fabric),
            micro_batch=plan.micro_batch,
        )

    def improve(self, state: State, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Make the batches of one round; before the first, those that warm the pool up.

        Their diversity is told, since a pool remembers others long after all that is made is alike.
        """
        if state.rounds == 0:
            for _ in range(self.warm_up):
                self._make_and_keep(state, self._warm_up_terms(), teacher, student, fabric)
        rows = [self._make_and_keep(state, self.terms, teacher, student, fabric) for _ in range(self.batches_per_round)]
        return {f"generator_{name}": torch.cat([row[name] for row in rows]) for name in rows[0]}

    def batches(self, state: State, fabric: Fabric) -> Iterator[Batch]:
        """Draw from the pool."""
        for _ in range(self.student_steps):
            yield state.pool.draw(state.share, state.random, fabric)

    def end_round(self, state: State) -> None:
        """Count the round."""
        state.rounds += 1

    def samples(self, state: State, fabric: Fabric) -> Tensor:
        """Show the newest of the pool."""
        return state.pool.newest(state.share)

    def losses_of(
        self,
        state: State,
        *,
        terms: Terms,
        labels: Tensor | None,
        teacher: Teacher,
        student: nn.Module,
        fabric: Fabric,
        more: Callable[[Tensor, Beliefs], dict[str, Tensor]] | None = None,
    ) -> Callable[[Tensor], dict[str, Tensor]]:
        """Give the function that judges a batch by the terms, as the networks see it: augmented, if it is to be.

        Args:
            state: draws the augmentation.
            terms: what to minimise.
            labels: (made share,), classes asked for; or None. A micro-batch is not told apart by it, so its labels
                follow in order.
            teacher: is read.
            student: runs where the divergence has a weight.
            fabric: precision.
            more: losses of a method's own, of the batch before it was augmented and of what the teacher said after.
        """
        position = 0

        def losses(inputs: Tensor) -> dict[str, Tensor]:
            nonlocal position
            wanted = None
            if labels is not None:
                wanted = labels[position : position + len(inputs)]
                position = (position + len(inputs)) % len(labels)
            seen = self.augmented(state, inputs, fabric)
            with fabric.autocast():
                read = terms.read(seen, teacher, features=self.reads_features)
                found = terms.losses(seen, read, teacher, student, wanted)
                return found if more is None else found | more(inputs, read)

        return losses

    def augmented(self, state: State, inputs: Tensor, fabric: Fabric) -> Tensor:
        """Crop and flip as batches drawn from the pool are, on black where it is known and else on zeros."""
        pool, place = state.pool, my_place(len(inputs), fabric)
        if pool.augmentation == "none":
            return inputs
        black = 0.0 if pool.pixels is None else pool.pixels.black
        return augment(inputs - black, pool.augmentation, pool.padding, state.random, place) + black

    def draw(self, state: State, *shape: int, fabric: Fabric) -> Tensor:
        """Draw standard normal noise, (made share, *shape): this process's share of what all of them draw."""
        whole = torch.randn(
            (state.made_share * fabric.world_size, *shape),
            generator=state.random,
            device=state.random.device,
            dtype=state.pool.dtype,
        )
        return mine(whole, state.made_share, fabric)

    def draw_labels(self, state: State, num_classes: int, fabric: Fabric) -> Tensor:
        """Draw classes at random, (made share,)."""
        count = state.made_share * fabric.world_size
        whole = torch.randint(num_classes, (count,), generator=state.random, device=state.random.device)
        return mine(whole, state.made_share, fabric)

    def bounded(self, state: State, raw: Tensor) -> Tensor:
        """Bound images of known normalisation to the range of pixels, in the type of network inputs."""
        wide = raw.to(state.pool.dtype)
        return state.pool.pixels.bound(wide) if state.pool.pixels else wide

    def _check_capacity(self, batch_size: int) -> None:
        if batch_size > self.capacity:
            raise SettingsError(
                f"source.capacity must be at least the {batch_size} inputs made at a time; got {self.capacity}",
                "source.capacity",
            )

    def _warm_up_terms(self) -> Terms:
        return replace(self.terms, adversarial=0.0)

    def _make_and_keep(
        self, state: State, terms: Terms, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        made, found = self.make(state, terms, teacher, student, fabric)
        gathered = fabric.all_gather(made) if fabric.world_size > 1 else made
        assert isinstance(gathered, Tensor)
        whole = gathered.reshape(-1, *made.shape[1:])
        state.pool.add(whole, teacher, fabric)
        return found | {"diversity": diversity(whole)[None]} if len(whole) > 1 else found
