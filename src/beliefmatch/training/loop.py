"""The training loop, which joins any source with any objective. It never changes.

In short:

    for each round:
        source.improve(...)                  # make the inputs better
        for batch in source.batches(...):    # one student step a batch
            step the student on objective(teacher outputs, student outputs, labels)
"""

from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.functional.diversity import diversity
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.networks.placement import move_to_device
from beliefmatch.networks.taps import Outputs, outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.optimisers import Optimisation, average_over_processes
from beliefmatch.sources.base import Batch
from beliefmatch.training.state import modules_in
from beliefmatch.training.transfer import Transfer

Metrics = dict[str, Tensor]
"""What a round measured, by name, on the device: () or (steps,), and frequencies of classes, (steps, classes)."""


@dataclass(kw_only=True)
class TransferState:
    """All that moves in a run."""

    student: nn.Module
    optimisation: Optimisation
    """Of the student."""
    source: Any
    """What the source's `start` made."""
    round: int
    """Rounds completed."""
    student_passes: int
    """Examples that passed the student forwards in this process, in the generator's steps too."""
    teacher_passes: int
    """Likewise the teacher."""
    device_round: Tensor
    """(), int64: rounds completed, on the device, where a captured round can count them."""
    first_bad_round: Tensor
    """(), int64: first round with a loss or gradient that was not finite, -1 while there is none. On the device."""
    bad_outputs: Tensor
    """(2,): fraction of the examples of a batch of that round for which the outputs of teacher and student were not
    finite: of the first batch with any. On the device."""


def start(transfer: Transfer, teacher: Teacher, student: nn.Module, fabric: Fabric) -> TransferState:
    """Move both networks to the device and start the source. The seed decides all that follows."""
    dtype = torch.float64 if fabric._precision.precision == "64-true" else torch.float32
    for network in (teacher.module, student):
        move_to_device(network, fabric.device, dtype)
    student.train()
    if transfer.freeze_batch_norm:
        for layer in student.modules():
            if isinstance(layer, _BatchNorm):
                layer.eval()
    return TransferState(
        student=student,
        optimisation=transfer.student_optimiser.start(student, transfer.rounds),
        source=transfer.source.start(teacher, student, transfer.plan, fabric),
        round=0,
        student_passes=0,
        teacher_passes=0,
        device_round=torch.zeros((), dtype=torch.int64, device=fabric.device),
        first_bad_round=torch.full((), -1, device=fabric.device),
        bad_outputs=torch.zeros(2, device=fabric.device),
    )


def run_round(transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> Metrics:
    """Run one round as a whole: `compute_round`, then `end_round`."""
    metrics = compute_round(transfer, state, teacher, fabric)
    end_round(transfer, state)
    return metrics


def compute_round(transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> Metrics:
    """Compute one round on the device: improve the source, then take one student step for each of its batches.

    All of it is work for the device, which can be captured once and replayed; nothing here waits for the device.

    Args:
        transfer: settings, resolved by `prepare.resolve`.
        state: moves.
        teacher: stays.
        fabric: device, precision and processes.

    Returns:
        Losses, gradient norms and what the teacher's task compares of both networks, () or (steps,), how often each
        gives each class or label, (steps, classes), and the diversity of each distinct batch, (batches,), where one has
        several examples; on the device.
    """
    metrics = transfer.source.improve(state.source, teacher, state.student, fabric)
    batch: TeacherBatch | None = None
    steps: list[StudentStep] = []
    diversities: list[Tensor] = []
    progress = state.device_round / transfer.rounds
    for given in transfer.source.batches(state.source, fabric):
        if batch is None or given is not batch.given:
            batch = run_teacher(transfer, teacher, given, fabric)
            if len(given.inputs) > 1:
                diversities.append(diversity(given.inputs) if given.diversity is None else given.diversity)
        steps.append(step_student(transfer.objective, state, batch, fabric, progress))
    metrics |= {name: torch.stack([step.losses[name] for step in steps]) for name in steps[0].losses}
    if diversities:
        metrics["batch_diversity"] = torch.stack(diversities)
    metrics |= _compare_networks(teacher, steps)
    _average_buffers(state, fabric)
    _note_bad_round(state, metrics, steps)
    return metrics


def end_round(transfer: Transfer, state: TransferState) -> None:
    """End a round on the host: learning rates follow their schedules, and the round counts."""
    transfer.source.end_round(state.source)
    state.optimisation.end_round()
    state.round += 1


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Examples that pass the networks at once, with the teacher's outputs for them."""

    inputs: Tensor
    """(micro-batch, *shape)."""
    labels: Tensor | None
    """(micro-batch,), where the source knows them."""
    teacher_outputs: Outputs


@dataclass(frozen=True, kw_only=True)
class TeacherBatch:
    """A batch of the source in micro-batches, after the teacher ran on it."""

    given: Batch
    """What the source yielded; where it yields the same again, the teacher need not run again."""
    micro_batches: list[MicroBatch]
    logits: Tensor
    """(batch, classes), of the teacher."""


@dataclass(frozen=True, kw_only=True)
class StudentStep:
    """What one student step measured, before it moved the student."""

    losses: Metrics
    """Losses and the gradient's norm, ()."""
    teacher_logits: Tensor
    """(batch, classes)."""
    student_logits: Tensor
    """(batch, classes)."""


def run_teacher(transfer: Transfer, teacher: Teacher, batch: Batch, fabric: Fabric) -> TeacherBatch:
    """Split a batch into micro-batches and run the teacher on each, unless the source has kept its logits."""
    size = transfer.micro_batch
    inputs = parts_of(batch.inputs, size)
    labels = parts_of(batch.labels, size) if batch.labels is not None else [None] * len(inputs)
    taps = [pair.teacher for pair in transfer.objective.taps or ()]
    if batch.teacher_logits is not None and not taps:
        kept = parts_of(batch.teacher_logits, size)
        outputs = [Outputs(logits=part, activations={}, inputs={}, task=teacher.task) for part in kept]
    else:
        with torch.no_grad(), fabric.autocast():
            outputs = [teacher.outputs(part, taps=taps) for part in inputs]
    micro_batches = [
        MicroBatch(inputs=part, labels=known, teacher_outputs=output)
        for part, known, output in zip(inputs, labels, outputs, strict=True)
    ]
    return TeacherBatch(
        given=batch, micro_batches=micro_batches, logits=torch.cat([output.logits for output in outputs])
    )


def step_student(
    objective: AbstractObjective, state: TransferState, batch: TeacherBatch, fabric: Fabric, progress: Tensor
) -> StudentStep:
    """Train the student for one step: gradients of all micro-batches of a batch add up, then the student moves once."""
    taps = [pair.student for pair in objective.taps or ()]
    num_examples = len(batch.given.inputs)
    losses: list[Metrics] = []
    logits: list[Tensor] = []
    for micro_batch in batch.micro_batches:
        with fabric.autocast():
            outputs = outputs_of(state.student, micro_batch.inputs, outputs=taps)
            terms = objective(micro_batch.teacher_outputs, outputs, micro_batch.labels, progress)
            means = {f"student_{name}": term.sum() / num_examples for name, term in terms.items()}
        loss = torch.stack(list(means.values())).sum()
        loss.backward()
        losses.append({"student_loss": loss.detach(), **{name: mean.detach() for name, mean in means.items()}})
        logits.append(outputs.logits.detach())
    norm = state.optimisation.step(fabric)
    return StudentStep(
        losses=_add_up(losses) | {"student_gradient_norm": norm},
        teacher_logits=batch.logits,
        student_logits=torch.cat(logits),
    )


def _add_up(losses: list[Metrics]) -> Metrics:
    """Add up each loss over micro-batches, ()."""
    if len(losses) == 1:
        return losses[0]
    return {name: torch.stack([each[name] for each in losses]).sum() for name in losses[0]}


def _compare_networks(teacher: Teacher, steps: list[StudentStep]) -> Metrics:
    """Compute what the teacher's task compares of both networks in each student step."""
    return teacher.task.compare(
        torch.stack([step.teacher_logits for step in steps]), torch.stack([step.student_logits for step in steps])
    )


def _average_buffers(state: TransferState, fabric: Fabric) -> None:
    """Average over processes the running statistics that each gathered on its shard of the batch."""
    if fabric.world_size > 1:
        buffers = [buffer for module in modules_in(state) for buffer in module.buffers()]
        average_over_processes([buffer for buffer in buffers if buffer.is_floating_point()], fabric)


def _note_bad_round(state: TransferState, metrics: Metrics, steps: list[StudentStep]) -> None:
    """Note on the device in which round a metric was not finite for the first time, and whose outputs were not."""
    finite = torch.cat([value.flatten() for value in metrics.values()]).isfinite().all()
    state.device_round.add_(1)
    known = finite | (state.first_bad_round >= 0)
    state.bad_outputs.copy_(torch.where(known, state.bad_outputs, _bad_outputs(steps)))
    state.first_bad_round.copy_(torch.where(known, state.first_bad_round, state.device_round))


def _bad_outputs(steps: list[StudentStep]) -> Tensor:
    """Compute for teacher and student the fraction of outputs that are not finite in their first bad step, (2,)."""
    logits = [torch.stack([getattr(step, f"{role}_logits") for step in steps]) for role in ("teacher", "student")]
    bad = torch.stack([(~each.isfinite().all(dim=-1)).float().mean(dim=1) for each in logits])
    first = (bad > 0).float().argmax(dim=1, keepdim=True)
    return bad.gather(1, first).squeeze(1)
