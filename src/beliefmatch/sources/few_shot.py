"""Few real examples of each class: the baselines of Micaelli & Storkey 2019, section 4.2.

With `unlabelled.py` this is a source that opens data, and so may import the room of data; it does so when a run of it
starts, and no other run ever loads that room.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.functional.augmentation import Augmentation, augment
from beliefmatch.functional.diversity import diversity
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.placement import to_channels_last
from beliefmatch.networks.teacher import Teacher
from beliefmatch.paths import make_absolute
from beliefmatch.setting_names import Setting
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Needs, Plan, local_shard, take_local_shard


@dataclass(kw_only=True)
class FewShotState:
    """All that moves, and the examples that do not."""

    stored: Tensor = field(metadata=FIXED)
    """(examples, *shape), as `AbstractExamples.stored` gives them, on the device."""
    kind: type[AbstractExamples] = field(metadata=FIXED)
    """Converts them to network inputs."""
    labels: Tensor = field(metadata=FIXED)
    """(examples,), int64, on the device."""
    indices: Tensor = field(metadata=FIXED)
    """(examples,): where they stand in their file."""
    spec: InputSpec = field(metadata=FIXED)
    dtype: torch.dtype = field(metadata=FIXED)
    """Of network inputs."""
    local_batch_size: int = field(metadata=FIXED)
    """Examples a batch in this process."""
    random: torch.Generator
    order: Tensor
    """(examples,): the order of this epoch."""
    position: int
    """Examples of this epoch that were seen."""


@dataclass(frozen=True, kw_only=True)
class FewShot(AbstractSource[FewShotState]):
    """Real examples with their labels: a class-balanced subset, drawn afresh for each seed.

    Every example is seen equally often: batches are cut from one random order after the other, and one that reaches the
    end of an order goes on with the next. A set smaller than a batch is a batch.
    """

    reads_data: ClassVar[bool] = True
    why_eager: ClassVar[str] = "the host counts which real examples come next"

    images: Path
    """File .npz with an array images (n, height, width, channels) uint8, or inputs (n, *shape) of numbers as the
    teacher takes them, and labels (n,) integers."""
    images_per_class: int | None = None
    """Examples of each class, chosen at random. None: all there are, balanced or not."""
    augmentation: Augmentation | None = None
    """none, crops after padding with zeros, or crop_flip for mirror images too; of images alone. None: what the recipe
    finds right, or else none."""
    padding: int = 4
    """Pixels that are padded on each side before a crop."""

    def __post_init__(self) -> None:
        make_absolute(self, "images")

    @property
    def needs(self) -> Needs:
        """Classes, of each of which some examples are chosen; no gradient is followed."""
        return Needs(classes=True)

    def check(self) -> None:
        """Check the number of examples and the padding."""
        check_positive(self, "source", "images_per_class")
        check_not_negative(self, "source", "padding")

    def read(self, spec: InputSpec, num_classes: int) -> AbstractExamples:
        """Read all examples there are, and check that networks of these inputs and classes can be trained on them.

        Raises:
            ExamplesError: the examples cannot be read, do not fit, or a class has too few.
        """
        # Nothing that transfers without data may load this room: see the contract in pyproject.toml.
        from beliefmatch.data.images import read_examples  # noqa: PLC0415

        data = read_examples(self.images)
        labels = data.needed_labels()
        data.check_fit(spec, num_classes)
        counts = labels.bincount(minlength=num_classes)
        if self.images_per_class is not None and int(counts.min()) < self.images_per_class:
            raise ExamplesError(
                f"{self.images_per_class} examples of each class were asked for; class {int(counts.argmin())} of "
                f"{self.images} has {int(counts.min())}, so ask for so many at most"
            )
        return data

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the settings: a round is short already."""
        return self

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> FewShotState:
        """Read the examples, choose the subset by the seed of the run, and put it on the device.

        Raises:
            ExamplesError: the examples cannot be read, do not fit the teacher, or are too few.
            SettingsError: they are no images, and crops and mirror images of them are asked for.
        """
        data = self.read(teacher.spec, teacher.num_classes)
        labels = data.needed_labels()
        if self.augmentation not in (None, "none") and len(teacher.spec.shape) != 3:
            raise SettingsError(
                f"{Setting('source.augmentation')} {self.augmentation} takes images, and inputs of shape "
                f"{teacher.spec.shape} are no images: expected the augmentation none"
            )
        indices = self._choose(labels, teacher.num_classes, plan.seed)
        batch_size = min(plan.batch_size, len(indices)) // fabric.world_size
        if batch_size == 0:
            raise ExamplesError(f"{len(indices)} examples cannot be shared by {fabric.world_size} processes")
        return FewShotState(
            stored=data.stored[indices].to(fabric.device),
            kind=type(data),
            labels=labels[indices].to(fabric.device),
            indices=indices,
            spec=teacher.spec,
            dtype=teacher.dtype,
            local_batch_size=batch_size,
            random=torch.Generator(device=fabric.device).manual_seed(plan.seed),
            order=torch.zeros(len(indices), dtype=torch.int64, device=fabric.device),
            position=len(indices),
        )

    def improve(self, state: FewShotState, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Return nothing: real examples are not improved."""
        return {}

    def batches(self, state: FewShotState, fabric: Fabric) -> Iterator[Batch]:
        """Yield one batch a round."""
        # All processes draw for the whole batch and each keeps its shard, so that any number of them sees the same.
        rows = take_local_shard(
            self._next_rows(state, state.local_batch_size * fabric.world_size), state.local_batch_size, fabric
        )
        shard = local_shard(state.local_batch_size, fabric)
        augmentation = self.augmentation or "none"
        stored = augment(state.stored[rows], augmentation, self.padding, state.random, shard)
        yield Batch(
            inputs=self._inputs(state, stored),
            labels=state.labels[rows],
            diversity=None if augmentation == "none" else diversity(self._inputs(state, state.stored[rows])),
        )

    def end_round(self, state: FewShotState) -> None:
        """Change nothing: no schedule moves."""

    def samples(self, state: FewShotState, fabric: Fabric) -> Tensor:
        """Return the first of the examples, unchanged."""
        return self._inputs(state, state.stored[: state.local_batch_size])

    def metadata(self, state: FewShotState) -> dict[str, Any]:
        """Return which examples of the file were chosen."""
        return {"images": str(self.images), "indices": state.indices.tolist()}

    def _choose(self, labels: Tensor, num_classes: int, seed: int) -> Tensor:
        if self.images_per_class is None:
            return torch.arange(len(labels))
        random = torch.Generator().manual_seed(seed)
        shuffled = torch.randperm(len(labels), generator=random)
        chosen = [shuffled[labels[shuffled] == number][: self.images_per_class] for number in range(num_classes)]
        return torch.cat(chosen)

    def _next_rows(self, state: FewShotState, count: int) -> Tensor:
        rows = state.order[state.position : state.position + count]
        state.position += len(rows)
        if len(rows) < count:
            state.order = torch.randperm(len(state.order), generator=state.random, device=state.order.device)
            state.position = count - len(rows)
            rows = torch.cat([rows, state.order[: state.position]])
        return rows

    def _inputs(self, state: FewShotState, stored: Tensor) -> Tensor:
        return to_channels_last(state.kind.convert(stored, state.spec).to(state.dtype))
