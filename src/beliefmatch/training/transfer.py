"""The loop that joins any source with any objective. It never changes."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.errors import SettingsError, TapError
from beliefmatch.functional.classification import agreement, class_frequencies, confidence
from beliefmatch.functional.diversity import diversity
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.networks.heads import keep_logits_precise
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.pairs import choose_pairs
from beliefmatch.networks.placement import place
from beliefmatch.networks.taps import Beliefs, TapPair, beliefs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.optimisers import AbstractOptimiser, Optimisation, average_over_processes
from beliefmatch.sources.base import AbstractSource, Batch, Plan
from beliefmatch.students.base import AbstractStudent
from beliefmatch.training.state import modules_in


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Everything that decides what a run computes. Recipes return it."""

    recipe: str
    teacher: Network
    inputs: InputSpec
    student: AbstractStudent
    source: AbstractSource[Any]
    objective: AbstractObjective
    rounds: int
    batch_size: int
    """Examples a batch, over all processes together."""
    student_optimiser: AbstractOptimiser
    seed: int
    usual_rounds: int | None = None
    """Rounds that the recipe does where nobody says otherwise, the paper's where it prints them: what this run is a
    fraction of."""
    freeze_batch_norm: bool = False
    """Whether the student's batch-norm layers keep the statistics they have, as in eval mode, while it learns."""
    micro_batch: int | None = None
    """Most examples that pass teacher and student at once in one process, so that large batches fit; None for all.
    Gradients are those of the whole batch but for what a batch has as a whole: batch-norm takes its statistics of the
    micro-batch, and so do a source's terms statistics, balance and contrast."""

    def __post_init__(self) -> None:
        for name in ("rounds", "batch_size", "micro_batch"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise SettingsError(f"{name} must be above 0; got {value}")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"seed must be at least 0 and below 2**63; got {self.seed}")
        self.source.check()
        self.objective.check()
        self.student_optimiser.check()

    @property
    def plan(self) -> Plan:
        """What the source needs to know."""
        return Plan(num_rounds=self.rounds, batch_size=self.batch_size, seed=self.seed, micro_batch=self.micro_batch)


@dataclass(kw_only=True)
class TransferState:
    """All that moves in a run."""

    student: nn.Module
    optimisation: Optimisation
    source: Any
    round: int
    """Rounds completed."""
    student_passes: int
    """Examples that passed the student forwards in this process, in the generator's steps too."""
    teacher_passes: int
    device_round: Tensor
    """(), int64: rounds completed, on the device, where a captured round can count them."""
    first_bad_round: Tensor
    """(), int64: first round with a loss or gradient that was not finite, -1 while there is none. On the device."""


def start(transfer: Transfer, teacher: Teacher, student: nn.Module, fabric: Fabric) -> TransferState:
    """Put both networks on the device and start the source. The seed decides all that follows."""
    dtype = torch.float64 if fabric._precision.precision == "64-true" else torch.float32
    for network in (teacher.module, student):
        place(network, fabric.device, dtype)
        keep_logits_precise(network, teacher.spec)
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
    )


def settle(transfer: Transfer, teacher: Teacher, student: nn.Module) -> Transfer:
    """Settle what settings leave to the networks: how inputs are made for this teacher, and which activations are read.

    Raises:
        TapError: see `with_taps`.
    """
    return replace(
        transfer,
        source=transfer.source.settled(teacher),
        objective=with_taps(transfer.objective, teacher, student),
    )


def with_taps(objective: AbstractObjective, teacher: Teacher, student: nn.Module) -> AbstractObjective:
    """Settle which activations an objective reads, and check on one example that they can be compared.

    Raises:
        TapError: a name does not exist, or two activations of a pair differ in their positions.
    """
    pairs = ()
    if objective.uses_taps:
        pairs = objective.taps if objective.taps is not None else choose_pairs(teacher.module, student, teacher.spec)
    batch = torch.zeros((1, *teacher.spec.shape), dtype=teacher.dtype)
    with evaluating(student), torch.no_grad():
        first = teacher.beliefs(batch, taps=[pair.teacher for pair in pairs]).outputs
        second = beliefs(student, batch, outputs=[pair.student for pair in pairs]).outputs
    for pair in pairs:
        _check_pair(pair, first[pair.teacher], second[pair.student])
    return replace(objective, taps=pairs)


def _check_pair(pair: TapPair, first: Tensor, second: Tensor) -> None:
    if first.dim() < 3 or first.shape[2:] != second.shape[2:]:
        raise TapError(
            f"attention cannot be compared: {pair.teacher} of the teacher gives {tuple(first.shape[1:])}, "
            f"{pair.student} of the student {tuple(second.shape[1:])}; expected (channels, positions...) with equal "
            "positions"
        )


@dataclass(frozen=True, kw_only=True)
class _Lesson:
    """A micro-batch, and what the teacher says to it."""

    batch: Batch
    taught: Beliefs


def run_round(transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> dict[str, Tensor]:
    """Do one round: improve the source, then take one student step for each of its batches.

    Args:
        transfer: settings, settled by `settle`.
        state: moves.
        teacher: stays.
        fabric: device, precision and processes.

    Returns:
        Losses, gradient norms, confidences and agreement of the round, () or (steps,), how often each network gives
        each class, (steps, classes), and the diversity of each distinct batch, (batches,), where one has several
        examples; on the device. Fetching them is up to the caller: nothing here waits for the device.
    """
    record = run_on_device(transfer, state, teacher, fabric)
    end_round(transfer, state)
    return record


def run_on_device(transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> dict[str, Tensor]:
    """Do all of a round that is work for the device: what can be captured once and replayed. See `run_round`."""
    record = transfer.source.improve(state.source, teacher, state.student, fabric)
    steps: list[dict[str, Tensor]] = []
    taught: list[Tensor] = []
    learnt: list[Tensor] = []
    seen: Batch | None = None
    lessons: list[_Lesson] = []
    diversities: list[Tensor] = []
    for batch in transfer.source.batches(state.source, fabric):
        if batch is not seen:
            lessons = _teach(transfer, teacher, batch, fabric)
            if len(batch.inputs) > 1:
                diversities.append(diversity(batch.inputs))
        taught.append(taught[-1] if batch is seen else torch.cat([lesson.taught.logits for lesson in lessons]))
        seen = batch
        losses, logits = _student_step(transfer.objective, state, lessons, fabric)
        steps.append(losses)
        learnt.append(logits)
    record |= {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    if diversities:
        record["batch_diversity"] = torch.stack(diversities)
    record |= _compare(torch.stack(taught), torch.stack(learnt))
    _share_buffers(state, fabric)
    _watch(state, record)
    return record


def end_round(transfer: Transfer, state: TransferState) -> None:
    """Do what a round ends with on the host: learning rates follow their schedules, and the round counts."""
    transfer.source.end_round(state.source)
    state.optimisation.end_round()
    state.round += 1


def _teach(transfer: Transfer, teacher: Teacher, batch: Batch, fabric: Fabric) -> list[_Lesson]:
    size = transfer.micro_batch
    inputs = parts_of(batch.inputs, size)
    labels = parts_of(batch.labels, size) if batch.labels is not None else [None] * len(inputs)
    taps = [pair.teacher for pair in transfer.objective.taps or ()]
    if batch.teacher_logits is not None and not taps:
        kept = [Beliefs(logits=part, outputs={}, inputs={}) for part in parts_of(batch.teacher_logits, size)]
        return [
            _Lesson(batch=Batch(inputs=part, labels=sought), taught=taught)
            for part, sought, taught in zip(inputs, labels, kept, strict=True)
        ]
    with torch.no_grad(), fabric.autocast():
        return [
            _Lesson(batch=Batch(inputs=part, labels=sought), taught=teacher.beliefs(part, taps=taps))
            for part, sought in zip(inputs, labels, strict=True)
        ]


def _student_step(
    objective: AbstractObjective, state: TransferState, lessons: list[_Lesson], fabric: Fabric
) -> tuple[dict[str, Tensor], Tensor]:
    """Take one step. Gives losses and the gradient's norm, (), and the student's logits before it, (batch, classes)."""
    taps = [pair.student for pair in objective.taps or ()]
    num_examples = sum(len(lesson.batch.inputs) for lesson in lessons)
    rows: list[dict[str, Tensor]] = []
    logits: list[Tensor] = []
    for lesson in lessons:
        with fabric.autocast():
            learnt = beliefs(state.student, lesson.batch.inputs, outputs=taps)
            terms = objective(lesson.taught, learnt, lesson.batch.labels)
            row = {f"student_{name}": term.sum() / num_examples for name, term in terms.items()}
        loss = torch.stack(list(row.values())).sum()
        loss.backward()
        rows.append({"student_loss": loss.detach(), **{name: term.detach() for name, term in row.items()}})
        logits.append(learnt.logits.detach())
    norm = state.optimisation.step(fabric)
    losses = rows[0] if len(rows) == 1 else {name: torch.stack([row[name] for row in rows]).sum() for name in rows[0]}
    return losses | {"student_gradient_norm": norm}, torch.cat(logits)


def _compare(taught: Tensor, learnt: Tensor) -> dict[str, Tensor]:
    """Compare what teacher and student said in each student step, both (steps, batch, classes)."""
    flat, steps = (taught.flatten(0, 1), learnt.flatten(0, 1)), learnt.shape[:2]
    answered = class_frequencies(learnt)
    return {
        "teacher_confidence": confidence(flat[0]).view(steps).mean(dim=1),
        "student_confidence": confidence(flat[1]).view(steps).mean(dim=1),
        "batch_agreement": agreement(*flat).to(learnt.dtype).view(steps).mean(dim=1),
        "teacher_classes": class_frequencies(taught),
        "student_classes": answered,
        "student_largest_class": answered.max(dim=1).values,
    }


def _share_buffers(state: TransferState, fabric: Fabric) -> None:
    """Give every process the mean of the running statistics that each gathered on its share of the batch."""
    if fabric.world_size > 1:
        buffers = [buffer for module in modules_in(state) for buffer in module.buffers()]
        average_over_processes([buffer for buffer in buffers if buffer.is_floating_point()], fabric)


def _watch(state: TransferState, record: dict[str, Tensor]) -> None:
    finite = torch.cat([value.flatten() for value in record.values()]).isfinite().all()
    state.device_round.add_(1)
    known = finite | (state.first_bad_round >= 0)
    state.first_bad_round.copy_(torch.where(known, state.first_bad_round, state.device_round))
