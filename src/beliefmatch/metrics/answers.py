"""What two networks say to images, streamed: never two copies of the images, and a few numbers for each."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beliefmatch.functional.calibration import calibration_gaps
from beliefmatch.functional.classification import confidence, correct, in_top
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.models.inputs import InputSpec

TOP = 5


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the networks say to each image, on the CPU."""

    teacher_class: Tensor
    student_class: Tensor
    divergence: Tensor
    right: Tensor
    """(images, 2), whether teacher and student give the label; without columns where there are no labels."""
    top: Tensor
    """(images, 2), whether teacher and student have the label among their first five; likewise."""
    gaps: Tensor
    """(images, 2 * bins), calibration gaps of teacher and student; likewise."""
    num_classes: int

    @property
    def alike(self) -> Tensor:
        """(images,), whether both give the same class."""
        return self.teacher_class == self.student_class


def answer(
    teacher: nn.Module, student: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor | None, *, batch_size: int
) -> Answers:
    """Run both networks, in eval mode, over stored images, a batch at a time."""
    parts: list[Answers] = []
    targets = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
    for inputs, sought in _batches(teacher, spec, images, targets, batch_size):
        with torch.no_grad():
            logits = teacher.eval()(inputs).float(), student.eval()(inputs).float()
        num_classes = logits[0].shape[1]
        scored = logits if labels is not None else ()
        right = [correct(each, sought)[:, None] for each in scored]
        top = [in_top(each, sought, min(TOP, num_classes))[:, None] for each in scored]
        gaps = [calibration_gaps(confidence(each), hit[:, 0]) for each, hit in zip(scored, right, strict=True)]
        none = inputs.new_zeros(len(inputs), 0)
        parts.append(
            Answers(
                teacher_class=logits[0].argmax(dim=1),
                student_class=logits[1].argmax(dim=1),
                divergence=kl_divergence(*logits),
                right=torch.cat([none, *right], dim=1),
                top=torch.cat([none, *top], dim=1),
                gaps=torch.cat([none, *gaps], dim=1),
                num_classes=num_classes,
            )
        )
    return _joined(parts)


def _joined(parts: list[Answers]) -> Answers:
    # Fetched here and not batch by batch, so that the host never waits while there are images left to send.
    names = ("teacher_class", "student_class", "divergence", "right", "top", "gaps")
    whole = {name: torch.cat([getattr(part, name) for part in parts]).cpu() for name in names}
    return Answers(**whole, num_classes=parts[0].num_classes)


def measure_accuracy(
    network: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor, *, batch_size: int = 500
) -> float:
    """Measure the fraction of images that one network, in eval mode, gives their label. See `measure_pair`."""
    right: list[Tensor] = []
    for inputs, targets in _batches(network, spec, images, labels, batch_size):
        with torch.no_grad():
            right.append(correct(network.eval()(inputs), targets))
    return int(torch.cat(right).sum()) / len(labels)


def _batches(
    network: nn.Module, spec: InputSpec, images: Tensor, labels: Tensor, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    parameter = next(iter(network.parameters()), torch.zeros(()))
    for pixels, targets in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        yield spec.from_pixels(pixels.to(parameter.device)).to(parameter.dtype), targets.to(parameter.device)
