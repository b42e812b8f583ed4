"""Predictions of two networks on examples, streamed: never two copies of them, and a few numbers for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from beliefmatch.errors import ExamplesError
from beliefmatch.functional.calibration_error import calibration_error_gaps
from beliefmatch.functional.classification import confidence, correct, in_top
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.functional.upcast import upcast
from beliefmatch.networks.dtypes import device_of, dtype_of
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.placement import to_format_of

TOP = 5
BATCH_SIZE = 100
"""Examples at a time by default: on a CPU more of them cost more memory and more time each."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What both networks predict for each example, on the CPU."""

    teacher_class: Tensor
    student_class: Tensor
    finite: Tensor
    """(examples, 2), whether all outputs of teacher and student are finite."""
    divergence: Tensor
    right: Tensor
    """(examples, 2), whether teacher and student give the label; without columns where there are no labels."""
    top: Tensor
    """(examples, 2), whether teacher and student have the label among their first five; likewise."""
    gaps: Tensor
    """(examples, 2 * bins), calibration gaps of teacher and student; likewise."""
    num_classes: int

    @property
    def alike(self) -> Tensor:
        """(examples,), whether both give the same class."""
        return self.teacher_class == self.student_class

    def confidence_and_right(self, network: int) -> tuple[Tensor, Tensor]:
        """Return the confidence of teacher (0) or student (1) and whether it gives the label, (examples,) each."""
        right = self.right[:, network]
        return self.gaps.unflatten(1, (2, -1))[:, network].sum(dim=1) + right, right


def predict(
    teacher: nn.Module, student: nn.Module, spec: InputSpec, examples: AbstractExamples, *, batch_size: int
) -> Predictions:
    """Run both networks, in eval mode, over stored examples, a batch at a time.

    Raises:
        ExamplesError: a network gives outputs that are not finite.
    """
    parts: list[Predictions] = []
    for inputs, sought in batches((teacher, student), spec, examples, batch_size):
        logits = _run_both(teacher, student, inputs)
        num_classes = logits[0].shape[1]
        scored = logits if examples.labels is not None else ()
        right = [correct(each, sought)[:, None] for each in scored]
        top = [in_top(each, sought, min(TOP, num_classes))[:, None] for each in scored]
        gaps = [calibration_error_gaps(confidence(each), hit[:, 0]) for each, hit in zip(scored, right, strict=True)]
        none = inputs.new_zeros(len(inputs), 0)
        parts.append(
            Predictions(
                teacher_class=logits[0].argmax(dim=1),
                student_class=logits[1].argmax(dim=1),
                finite=torch.stack([each.isfinite().all(dim=1) for each in logits], dim=1),
                # Rounding leaves some of 32 bits a little below 0.
                divergence=kl_divergence(logits[0], logits[1]).clamp_min(0),
                right=torch.cat([none, *right], dim=1),
                top=torch.cat([none, *top], dim=1),
                gaps=torch.cat([none, *gaps], dim=1),
                num_classes=num_classes,
            )
        )
    # Fetched here and not batch by batch, so that the host never waits while there are examples left to send.
    names = ("teacher_class", "student_class", "finite", "divergence", "right", "top", "gaps")
    whole = {name: torch.cat([getattr(part, name) for part in parts]).cpu() for name in names}
    for column, role in enumerate(("teacher", "student")):
        _check_finite(whole["finite"][:, column], role)
    return Predictions(**whole, num_classes=parts[0].num_classes)


def run_pair(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples,
    *,
    batch_size: int,
    read: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
) -> list[Tensor]:
    """Run both networks, in eval mode, over stored examples, and keep what is read from their outputs.

    Args:
        teacher: maps (batch, *spec.shape) to outputs.
        student: likewise.
        spec: of the inputs of both.
        examples: to run on.
        batch_size: examples at a time.
        read: takes outputs of teacher and student, (batch, outputs), and returns tensors (batch, ...).

    Returns:
        What was read of all examples, on the CPU.

    Raises:
        ExamplesError: a network gives outputs that are not finite.
    """
    parts: list[tuple[Tensor, ...]] = []
    for inputs, _ in batches((teacher, student), spec, examples, batch_size):
        outputs = _run_both(teacher, student, inputs)
        finite = torch.stack([each.isfinite().all(dim=1) for each in outputs], dim=1)
        parts.append((finite, *read(outputs[0], outputs[1])))
    finite, *found = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
    for column, role in enumerate(("teacher", "student")):
        _check_finite(finite[:, column], role)
    return found


def _run_both(teacher: nn.Module, student: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of both in the wider of their floating types, and in 32 bits at least."""
    first, second = (upcast(_run(network, inputs)) for network in (teacher, student))
    dtype = torch.promote_types(first.dtype, second.dtype)
    return first.to(dtype), second.to(dtype)


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return outputs in eval mode without a graph, which even then a view of a parameter would bring."""
    with torch.no_grad():
        return run_padded(network.eval(), inputs.to(dtype_of(network))).detach()


def _check_finite(finite: Tensor, role: str) -> None:
    """Check that a network's outputs are finite for all examples: of others no class follows."""
    if not bool(finite.all()):
        bad = (~finite).nonzero().squeeze(1)
        raise ExamplesError(
            f"the {role} gives outputs that are not finite for {len(bad)} of {len(finite)} examples, the first at "
            f"index {int(bad[0])}: leave these examples out, or mend the network"
        )


def batches(
    networks: tuple[nn.Module, ...], spec: InputSpec, examples: AbstractExamples, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield network inputs with their labels, or with zeros where there are none.

    Of networks of several floating types, inputs have one that holds the numbers of all.
    """
    device, dtype = device_of(networks[0]), reduce(torch.promote_types, map(dtype_of, networks))
    labels = torch.zeros(len(examples), dtype=torch.int64) if examples.labels is None else examples.labels
    for start in range(0, len(examples), batch_size):
        rows = slice(start, start + batch_size)
        inputs = examples.to_inputs(spec, rows, device=device).to(dtype)
        yield to_format_of(networks, inputs), labels[rows].to(device)
