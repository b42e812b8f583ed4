"""The loop that joins any source with any objective. It never changes."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.engine.state import modules_in
from beliefmatch.errors import SettingsError, TapError
from beliefmatch.functional.classification import agreement, class_frequencies, confidence
from beliefmatch.models.inputs import InputSpec
from beliefmatch.models.modes import evaluating
from beliefmatch.models.placement import place
from beliefmatch.models.taps import Beliefs, TapPair, beliefs, declared_pairs
from beliefmatch.models.teacher import Teacher
from beliefmatch.models.zoo import Network
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.optimisers import AbstractOptimiser, Optimisation, average_over_processes
from beliefmatch.sources.base import AbstractSource, Batch, Plan
from beliefmatch.students.base import AbstractStudent


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
    published_rounds: int | None = None
    """Rounds that the source of the recipe prints, where it does: what this run is a fraction of."""
    freeze_batch_norm: bool = False
    """Whether the student's batch-norm layers keep the statistics they have, as in eval mode, while it learns."""

    def __post_init__(self) -> None:
        for name in ("rounds", "batch_size"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be above 0; got {getattr(self, name)}")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"seed must be at least 0 and below 2**63; got {self.seed}")
        self.source.check()
        self.objective.check()
        self.student_optimiser.check()

    @property
    def plan(self) -> Plan:
        """What the source needs to know."""
        return Plan(num_rounds=self.rounds, batch_size=self.batch_size, seed=self.seed)


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
    first_bad_round: Tensor
    """(), int64: first round with a loss or gradient that was not finite, -1 while there is none. On the device."""


def start(transfer: Transfer, teacher: Teacher, student: nn.Module, fabric: Fabric) -> TransferState:
    """Put both networks on the device and start the source. The seed decides all that follows."""
    dtype = torch.float64 if fabric._precision.precision == "64-true" else torch.float32
    for network in (teacher.module, student):
        place(network, fabric.device, dtype)
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
        first_bad_round=torch.full((), -1, device=fabric.device),
    )


def with_taps(objective: AbstractObjective, teacher: Teacher, student: nn.Module) -> AbstractObjective:
    """Settle which activations an objective reads, and check on one example that they can be compared.

    Raises:
        TapError: a name does not exist, or two activations of a pair differ in their positions.
    """
    pairs = objective.taps if objective.taps is not None else declared_pairs(teacher.module, student)
    if not objective.uses_taps:
        pairs = ()
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


def run_round(transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> dict[str, Tensor]:
    """Do one round: improve the source, then take one student step for each of its batches.

    Args:
        transfer: settings, with the taps of its objective settled by `with_taps`.
        state: moves.
        teacher: stays.
        fabric: device, precision and processes.

    Returns:
        Losses, gradient norms, confidences and agreement of the round, () or (steps,), and how often each network
        gives each class, (steps, classes), on the device. Fetching them is up to the caller: nothing here waits for
        the device.
    """
    record = transfer.source.improve(state.source, teacher, state.student, fabric)
    steps: list[dict[str, Tensor]] = []
    seen: Batch | None = None
    taught: Beliefs | None = None
    for batch in transfer.source.batches(state.source, fabric):
        if taught is None or batch is not seen:
            taught = _teach(transfer.objective, teacher, batch, fabric)
        seen = batch
        steps.append(_student_step(transfer.objective, state, batch, taught, fabric))
    state.optimisation.end_round()
    state.round += 1
    record |= {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    _share_buffers(state, fabric)
    _watch(state, record)
    return record


def _teach(objective: AbstractObjective, teacher: Teacher, batch: Batch, fabric: Fabric) -> Beliefs:
    with torch.no_grad(), fabric.autocast():
        return teacher.beliefs(batch.inputs, taps=[pair.teacher for pair in objective.taps or ()])


def _student_step(
    objective: AbstractObjective, state: TransferState, batch: Batch, taught: Beliefs, fabric: Fabric
) -> dict[str, Tensor]:
    with fabric.autocast():
        learnt = beliefs(state.student, batch.inputs, outputs=[pair.student for pair in objective.taps or ()])
        terms = {name: term.mean() for name, term in objective(taught, learnt, batch.labels).items()}
    loss = torch.stack(list(terms.values())).sum()
    loss.backward()
    norm = state.optimisation.step(fabric)
    logits = learnt.logits.detach()
    return {
        "student_loss": loss.detach(),
        **{f"student_{name}": term.detach() for name, term in terms.items()},
        "student_gradient_norm": norm,
        "teacher_confidence": confidence(taught.logits).mean(),
        "student_confidence": confidence(logits).mean(),
        "batch_agreement": agreement(taught.logits, logits).to(loss.dtype).mean(),
        "teacher_classes": class_frequencies(taught.logits),
        "student_classes": class_frequencies(logits),
    }


def _share_buffers(state: TransferState, fabric: Fabric) -> None:
    """Give every process the mean of the running statistics that each gathered on its share of the batch."""
    if fabric.world_size > 1:
        buffers = [buffer for module in modules_in(state) for buffer in module.buffers()]
        average_over_processes([buffer for buffer in buffers if buffer.is_floating_point()], fabric)


def _watch(state: TransferState, record: dict[str, Tensor]) -> None:
    finite = torch.cat([value.flatten() for value in record.values()]).isfinite().all()
    now = torch.full_like(state.first_bad_round, state.round)
    state.first_bad_round.copy_(torch.where(finite | (state.first_bad_round >= 0), state.first_bad_round, now))
