"""Accuracy of two networks and their agreement, streamed over images."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
