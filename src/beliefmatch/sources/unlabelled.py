"""Unlabelled data of any kind: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network".

Examples need not be of the teacher's classes to show what it knows; where some lie about that may be used, nothing
has to be made. Like the few-shot baselines this source opens data, so it imports the room of data when a run of
it starts, and no other run ever loads that room.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.teacher import Teacher
from beliefmatch.paths import make_absolute
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Needs, Plan
from beliefmatch.sources.pool import Pool, make_pool

CHUNK = 1024
"""Examples turned into inputs at once."""


@dataclass(kw_only=True)
class UnlabelledState:
    """All that moves, and the examples that do not."""

    random: torch.Generator
    """Draws batches and augmentations."""
    pool: Pool = field(metadata=FIXED)
    local_batch_size: int = field(metadata=FIXED)
    """Examples a batch in this process."""


@dataclass(frozen=True, kw_only=True)
class Unlabelled(AbstractSource[UnlabelledState]):
    """Examples without labels, whatever they show; labels in their file are not used. Draws are with replacement.

    Images of another size are resized bilinearly. Without augmentation the teacher runs once on each example, when the
    run starts.
    """

    reads_data: ClassVar[bool] = True
    images: Path
    """File .npz with an array images (n, height, width, channels) uint8, or inputs (n, *shape) of numbers as the
    teacher takes them; or a folder of image files."""
    num_images: int | None = None
    """Most examples to take, the first ones. None: all."""
    student_steps: int = 10
    """Student steps a round."""
    augmentation: Augmentation | None = None
    """none, crops after padding with zeros, or crop_flip for mirror images too. None: what the recipe finds right, or
    else none."""
    padding: int = 4
    """Pixels that are padded on each side before a crop."""

    def __post_init__(self) -> None:
        make_absolute(self, "images")

    @property
    def needs(self) -> Needs:
        """Nothing: no gradient is followed."""
        return Needs()

    def check(self) -> None:
        """Check steps, padding and number of examples."""
        check_positive(self, "source", "student_steps")
        check_not_negative(self, "source", "padding")
        check_positive(self, "source", "num_images")

    def resolve(self, teacher: Teacher) -> Self:
        """Return the settings: they leave nothing to the teacher."""
        return self

    def for_preflight(self) -> Self:
        """Return the same settings with two examples, so that the teacher does not run on all of them twice."""
        return replace(self, num_images=2, student_steps=1)

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> UnlabelledState:
        """Read the examples, put them on the device, and compute the teacher's logits for them.

        Raises:
            ExamplesError: the examples cannot be read, or do not fit the teacher.
        """
        # Nothing that transfers without data may load this room: see the contract in pyproject.toml.
        from beliefmatch.data.images import read_examples, read_image_folder  # noqa: PLC0415

        spec = teacher.spec
        if self.images.is_dir():
            examples = read_image_folder(self.images, shape=spec.shape)
        else:
            examples = read_examples(self.images)
        examples.check_shape(spec, resize=True)
        count = min(len(examples), self.num_images or len(examples))
        pool = make_pool(
            count,
            teacher,
            fabric.device,
            augmentation=self.augmentation,
            padding=self.padding,
            micro_batch=plan.micro_batch or plan.local_batch_size(fabric),
        )
        for begin in range(0, count, CHUNK):
            rows = slice(begin, min(begin + CHUNK, count))
            pool.add(examples.to_inputs(spec, rows).to(fabric.device), teacher, fabric)
        random = torch.Generator(device=fabric.device).manual_seed(plan.seed)
        return UnlabelledState(random=random, pool=pool, local_batch_size=plan.local_batch_size(fabric))

    def improve(
        self, state: UnlabelledState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Return nothing: the examples are not improved."""
        return {}

    def batches(self, state: UnlabelledState, fabric: Fabric) -> Iterator[Batch]:
        """Draw a batch for every student step."""
        for _ in range(self.student_steps):
            yield state.pool.draw(state.local_batch_size, state.random, fabric)

    def end_round(self, state: UnlabelledState) -> None:
        """Change nothing: no schedule moves."""

    def samples(self, state: UnlabelledState, fabric: Fabric) -> Tensor:
        """Return the last of the examples, unchanged."""
        return state.pool.newest(state.local_batch_size)

    def metadata(self, state: UnlabelledState) -> dict[str, Any]:
        """Return where the examples are and how many."""
        return {"images": str(self.images), "num_images": int(state.pool.held)}
