"""Unlabelled images of any kind: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network".

Images need not be of the teacher's classes to show what it knows; where some lie about that may be used, nothing
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

from beliefmatch.errors import SettingsError
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.models.inputs import check_fit
from beliefmatch.models.teacher import Teacher
from beliefmatch.sources.base import FIXED, AbstractSource, Batch, Plan
from beliefmatch.sources.checks import check_not_negative, check_positive
from beliefmatch.sources.pool import Pool, make_pool

CHUNK = 1024
"""Images turned into inputs at once."""


@dataclass(kw_only=True)
class UnlabelledState:
    """All that moves, and the images that do not."""

    random: torch.Generator
    """Draws batches and augmentations."""
    pool: Pool = field(metadata=FIXED)
    share: int = field(metadata=FIXED)
    """Examples a batch in this process."""


@dataclass(frozen=True, kw_only=True)
class Unlabelled(AbstractSource[UnlabelledState]):
    """Images without labels, whatever they show; labels in their file are not read. Batches are drawn with replacement.

    Images of another size are resized bilinearly. Without augmentation the teacher runs once on each image, when the
    run starts.
    """

    citation: ClassVar[str] = "Hinton et al. 2015, Distilling the Knowledge in a Neural Network"

    images: Path
    """File .npz with an array images (n, height, width, channels) uint8, or a folder of image files."""
    num_images: int | None = None
    """Most images to take, the first ones. None: all."""
    student_steps: int = 10
    """Student steps a round."""
    augmentation: Augmentation | None = None
    """crop_flip: crops after padding with zeros, and mirror images. None: what the recipe finds right, or else none."""
    padding: int = 4
    """Pixels that are padded on each side before a crop."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", self.images.absolute())

    def check(self) -> None:
        """Check steps, padding and number of images.

        Raises:
            SettingsError: one is out of its range.
        """
        check_positive(self, "student_steps")
        check_not_negative(self, "padding")
        if self.num_images is not None:
            check_positive(self, "num_images")

    def shortened(self) -> Self:
        """Give the same settings with two images, so that the teacher is not asked about all of them twice."""
        return replace(self, num_images=2, student_steps=1)

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> UnlabelledState:
        """Read the images, put them on the device, and ask the teacher about them.

        Raises:
            ImagesError: the images cannot be read, or do not fit the teacher.
            SettingsError: the teacher's inputs are not images.
        """
        # Nothing that transfers without data may load this room: see the contract in pyproject.toml.
        from beliefmatch.data.images import read_image_folder, read_images  # noqa: PLC0415

        if len(teacher.spec.shape) != 3:
            raise SettingsError(f"the teacher takes inputs of shape {teacher.spec.shape}, which images cannot give")
        if self.images.is_dir():
            images = read_image_folder(self.images, shape=teacher.spec.shape).images
        else:
            images = read_images(self.images).images
        images = images[: self.num_images]
        check_fit(images, None, teacher.spec, teacher.num_classes, resize=True)
        pool = make_pool(
            len(images),
            teacher,
            fabric.device,
            augmentation=self.augmentation,
            padding=self.padding,
            micro_batch=plan.micro_batch or plan.share(fabric),
        )
        for chunk in images.split(CHUNK):
            pool.add(teacher.spec.from_pixels(chunk).to(fabric.device), teacher, fabric)
        random = torch.Generator(device=fabric.device).manual_seed(plan.seed)
        return UnlabelledState(random=random, pool=pool, share=plan.share(fabric))

    def improve(
        self, state: UnlabelledState, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> dict[str, Tensor]:
        """Do nothing: the images are what they are."""
        return {}

    def batches(self, state: UnlabelledState, fabric: Fabric) -> Iterator[Batch]:
        """Draw a batch for every student step."""
        for _ in range(self.student_steps):
            yield state.pool.draw(state.share, state.random, fabric)

    def samples(self, state: UnlabelledState, fabric: Fabric) -> Tensor:
        """Show the last of the images, unchanged."""
        return state.pool.newest(state.share)

    def facts(self, state: UnlabelledState) -> dict[str, Any]:
        """Tell where the images are and how many."""
        return {"images": str(self.images), "num_images": state.pool.held}
