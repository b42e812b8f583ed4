"""Accuracy of two networks and their agreement, streamed over images."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beliefmatch.errors import ImagesError
from beliefmatch.functional.classification import agreement, correct
from beliefmatch.models.inputs import InputSpec


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What two networks do on labelled images. Fractions in [0, 1]."""

    num_images: int
    teacher_accuracy: float
    student_accuracy: float
    agreement: float
    """Fraction of images to which both networks give the same class."""


def check_fit(images: Tensor, labels: Tensor, spec: InputSpec, num_classes: int, *, resize: bool = False) -> None:
    """Check that a network of these inputs and classes can be measured on these images.

    Args:
        images: (n, height, width, channels), uint8.
        labels: (n,), integers.
        spec: of the network's inputs.
        num_classes: classes the network knows.
        resize: whether images of another size are welcome; they are then resized bilinearly.

    Raises:
        ImagesError: inputs are not images; dtype, shape, channels or size differ; a label is one that the network
            cannot give.
    """
    if len(spec.shape) != 3:
        raise ImagesError(f"the network takes inputs of shape {spec.shape}, which images cannot give")
    if images.dtype != torch.uint8 or images.dim() != 4 or labels.shape != images.shape[:1] or images.numel() == 0:
        raise ImagesError(
            f"expected images (n, height, width, channels) uint8 and labels (n,); got images {tuple(images.shape)} "
            f"{images.dtype} and labels {tuple(labels.shape)}"
        )
    _, *size, channels = images.shape
    if channels != spec.shape[0]:
        raise ImagesError(f"images have {channels} channels, the network takes {spec.shape[0]}")
    if tuple(size) != spec.shape[1:] and not resize:
        raise ImagesError(
            f"images are {size[0]}x{size[1]}, the network takes {spec.shape[1]}x{spec.shape[2]}: add --resize if they "
            "are meant to be resized"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        wrong = lowest if lowest < 0 else highest
        raise ImagesError(f"there is a label {wrong}, but the network knows classes 0 to {num_classes - 1} only")


def measure_pair(
    teacher: nn.Module, student: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor, *, batch_size: int = 500
) -> Measurement:
    """Measure teacher and student on the same images, both in eval mode.

    Args:
        teacher: maps (batch, *spec.shape) to logits.
        student: likewise, on the same device.
        spec: turns pixels into inputs of both.
        images: (n, height, width, channels), uint8.
        labels: (n,), integers.
        batch_size: images at a time.
    """
    counts = torch.zeros(3, dtype=torch.int64)
    for inputs, targets in _batches(teacher, spec, images, labels, batch_size):
        with torch.no_grad():
            teacher_logits, student_logits = teacher.eval()(inputs), student.eval()(inputs)
        right = correct(teacher_logits, targets), correct(student_logits, targets)
        alike = agreement(teacher_logits, student_logits)
        counts += torch.stack([found.sum() for found in (*right, alike)]).cpu()
    teacher_right, student_right, alike = (count / len(labels) for count in counts.tolist())
    return Measurement(
        num_images=len(labels), teacher_accuracy=teacher_right, student_accuracy=student_right, agreement=alike
    )


def measure_accuracy(
    network: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor, *, batch_size: int = 500
) -> float:
    """Measure the fraction of images that one network, in eval mode, gives their label. See `measure_pair`."""
    right = 0
    for inputs, targets in _batches(network, spec, images, labels, batch_size):
        with torch.no_grad():
            right += int(correct(network.eval()(inputs), targets).sum())
    return right / len(labels)


def _batches(
    network: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    parameter = next(iter(network.parameters()), torch.zeros(()))
    for pixels, targets in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        yield spec.from_pixels(pixels.to(parameter.device)).to(parameter.dtype), targets.to(parameter.device)
