"""A pool of inputs on the device that batches are drawn from: 8 bits a value where inputs are images, 16 elsewhere."""

from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.functional.augmentation import Augmentation, augment
from beliefmatch.functional.diversity import diversity
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.placement import to_channels_last
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import FIXED, Batch, local_shard, take_local_shard

MANY = 2**62
"""So many that the remainder of a number below is drawn evenly, whatever it is divided by."""


@dataclass(frozen=True, kw_only=True)
class PixelRange:
    """Where black and white lie among network inputs."""

    black: Tensor
    """(channels, 1, 1)."""
    white: Tensor
    """(channels, 1, 1)."""

    def bound(self, raw: Tensor) -> Tensor:
        """Map free values into the range by a tanh with slope 1 in its middle, (batch, *shape)."""
        half, middle = (self.white - self.black) / 2, (self.white + self.black) / 2
        return middle + half * torch.tanh((raw - middle) / half)

    def to_bytes(self, inputs: Tensor) -> Tensor:
        """Round to the nearest of 256 values between black and white, (batch, *shape), uint8."""
        return (255 * (inputs - self.black) / (self.white - self.black)).round().clamp(0, 255).to(torch.uint8)

    def from_bytes(self, stored: Tensor) -> Tensor:
        """Undo `to_bytes`, (batch, *shape), in the floating type of the range."""
        return self.black + stored.to(self.black.dtype) * ((self.white - self.black) / 255)


def pixel_range(spec: InputSpec, device: torch.device, dtype: torch.dtype) -> PixelRange | None:
    """Return the range of inputs that are images of known normalisation; None for all others, which have no bounds."""
    if len(spec.shape) != 3 or spec.mean is None or spec.std is None:
        return None
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 1, spec.shape[0])
    black, white = spec.from_pixels(ends)[:, :, :1, :1].to(device, dtype)
    return PixelRange(black=black, white=white)


def as_inputs(drawn: Tensor, pixels: PixelRange | None) -> Tensor:
    """Return values of [0, 1] as inputs from black to white, or else of mean 0 and variance 1 if they were uniform.

    Args:
        drawn: (batch, *shape), in [0, 1].
        pixels: range of the inputs; None where they have none.

    Returns:
        (batch, *shape).
    """
    return to_channels_last(
        12**0.5 * (drawn - 0.5) if pixels is None else pixels.black + drawn * (pixels.white - pixels.black)
    )


@dataclass(kw_only=True)
class Pool:
    """A ring of inputs, written and read in place. Draws are with replacement."""

    stored: Tensor
    """(capacity, *shape), uint8 for images whose normalisation is known, bfloat16 for all else; on the device."""
    teacher_logits: Tensor | None
    """(capacity, classes), the teacher's logits for what is stored; None if not kept or if batches are augmented."""
    held: Tensor
    """(), int64: inputs in it, on the device, where a captured round can count them."""
    next: Tensor
    """(), int64: where the next input goes, likewise."""
    pixels: PixelRange | None = field(metadata=FIXED)
    augmentation: Augmentation = field(metadata=FIXED)
    """Of what is drawn."""
    padding: int = field(metadata=FIXED)
    """Pixels that are padded on each side before a crop."""
    dtype: torch.dtype = field(metadata=FIXED)
    """Of network inputs."""
    micro_batch: int | None = field(metadata=FIXED)
    """Inputs that pass the teacher at once."""

    @property
    def capacity(self) -> int:
        """Inputs it has room for."""
        return len(self.stored)

    def add(self, inputs: Tensor, teacher: Teacher, fabric: Fabric) -> Tensor:
        """Store inputs over the oldest ones, and the teacher's logits for them as stored; return their rows.

        Args:
            inputs: (inputs, *shape), no more than the capacity, alike in all processes.
            teacher: for its logits.
            fabric: precision.
        """
        assert len(inputs) <= self.capacity
        rows = (self.next + torch.arange(len(inputs), device=self.stored.device)) % self.capacity
        detached = inputs.detach()
        self.stored[rows] = self.pixels.to_bytes(detached) if self.pixels else detached.to(self.stored.dtype)
        self.next.add_(len(inputs)).remainder_(self.capacity)
        self.held.add_(len(inputs)).clamp_(max=self.capacity)
        if self.teacher_logits is not None:
            for part in parts_of(rows, self.micro_batch):
                with torch.no_grad(), fabric.autocast():
                    self.teacher_logits[part] = teacher.outputs(self.read(part)).logits
        return rows

    def read(self, rows: Tensor) -> Tensor:
        """Read inputs by their rows, (rows, *shape), as the network takes them."""
        return self._inputs(self.stored[rows])

    def draw(self, local_batch_size: int, random: torch.Generator, fabric: Fabric) -> Batch:
        """Draw a batch at random, each process its shard of one that all of them draw.

        Args:
            local_batch_size: examples a batch in this process.
            random: draws, on the device.
            fabric: the processes.
        """
        count = local_batch_size * fabric.world_size
        rows = torch.randint(MANY, (count,), generator=random, device=self.stored.device) % self.held
        own, known = take_local_shard(rows, local_batch_size, fabric), self.teacher_logits
        inputs = self.read_augmented(own, random, fabric)
        return Batch(
            inputs=inputs,
            teacher_logits=None if known is None else known[own],
            diversity=None if self.augmentation == "none" else diversity(self.read(own)),
        )

    def read_augmented(self, rows: Tensor, random: torch.Generator, fabric: Fabric) -> Tensor:
        """Read inputs by the rows of this process's shard of a batch, augmented, (rows, *shape)."""
        stored = augment(self.stored[rows], self.augmentation, self.padding, random, local_shard(len(rows), fabric))
        return self._inputs(stored)

    def newest_rows(self, count: int) -> Tensor:
        """Return the rows of the inputs stored last, the newest first, (at most count,); that many were stored."""
        back = torch.arange(1, min(count, self.capacity) + 1, device=self.stored.device)
        return (self.next - back) % self.capacity

    def newest(self, count: int) -> Tensor:
        """Read the inputs stored last, the newest first, (at most count, *shape)."""
        return self.read(self.newest_rows(min(count, int(self.held))))

    def _inputs(self, stored: Tensor) -> Tensor:
        return to_channels_last(self.pixels.from_bytes(stored) if self.pixels else stored.to(self.dtype))


def make_pool(
    capacity: int,
    teacher: Teacher,
    device: torch.device,
    *,
    augmentation: Augmentation | None,
    padding: int,
    micro_batch: int | None,
    keeps_beliefs: bool = True,
) -> Pool:
    """Build an empty pool for the teacher's inputs.

    Args:
        capacity: inputs it has room for.
        teacher: for whose inputs.
        device: where it lies.
        augmentation: of batches; only what has height and width can be cropped and flipped. None means none.
        padding: pixels that are padded on each side before a crop.
        micro_batch: inputs that pass the teacher at once.
        keeps_beliefs: whether to keep the teacher's logits for what is stored, where nothing is augmented.
    """
    pixels = pixel_range(teacher.spec, device, teacher.dtype)
    if augmentation is None or len(teacher.spec.shape) != 3:
        augmentation = "none"
    shape = (capacity, *teacher.spec.shape)
    logits = (capacity, teacher.num_classes)
    known = keeps_beliefs and augmentation == "none"
    return Pool(
        stored=torch.zeros(shape, dtype=torch.uint8 if pixels else torch.bfloat16, device=device),
        teacher_logits=torch.zeros(logits, dtype=teacher.dtype, device=device) if known else None,
        held=torch.zeros((), dtype=torch.int64, device=device),
        next=torch.zeros((), dtype=torch.int64, device=device),
        pixels=pixels,
        augmentation=augmentation,
        padding=padding,
        dtype=teacher.dtype,
        micro_batch=micro_batch,
    )
