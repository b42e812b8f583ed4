"""An attempt: mostly the whole run. Another begins where one collapsed and the user asked to begin again."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from beliefmatch.log_once import log_once
from beliefmatch.networks.cost import Cost, cost_of
from beliefmatch.networks.heads import undo_32_bits
from beliefmatch.runs.folder import RunFolder
from beliefmatch.training.checkpoint import find_checkpoint, load_checkpoint
from beliefmatch.training.clock import Clock
from beliefmatch.training.collapse_policy import CollapsePolicy, seconds_before
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.choice import choose_execution
from beliefmatch.training.loop import TransferState, start
from beliefmatch.training.options import RunOptions
from beliefmatch.training.prepare import Prepared
from beliefmatch.training.recorder import Recorder
from beliefmatch.training.standardisation import undo_units
from beliefmatch.training.tensorboard import TensorBoardLog

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What one attempt trains with."""

    prepared: Prepared
    """Settings, with the seed of the attempt, the teacher and the processes."""
    state: TransferState
    """All that moves."""
    execution: AbstractExecution
    """Does its rounds."""
    recorder: Recorder
    """Writes what it leaves."""
    policy: CollapsePolicy
    """Looks for a collapse."""
    clock: Clock
    """Training time."""
    teacher_cost: Cost
    student_cost: Cost


@contextmanager
def begin_attempt(prepared: Prepared, options: RunOptions, folder: RunFolder, number: int) -> Iterator[Attempt]:
    """Begin an attempt, or continue it from its checkpoint. At the end all hooks and compiled passes are removed.

    Args:
        prepared: with networks of the attempt's own.
        options: with all intervals resolved.
        folder: of the run.
        number: 0 for the first.
    """
    transfer, teacher, fabric = prepared.transfer, prepared.teacher, prepared.fabric
    teacher_cost = cost_of(teacher.module, teacher.inspection.macs)
    student_cost = cost_of(prepared.student, prepared.inspection.macs)
    with ExitStack() as stack:
        for network in (teacher.module, prepared.student):
            stack.callback(undo_32_bits, network)
            stack.callback(undo_units, network)
        state = start(transfer, teacher, prepared.student, fabric)
        for counter in _count_passes(state, teacher.module):
            stack.callback(counter.remove)
        # Each process draws its own dropout, from here on.
        torch.manual_seed(transfer.seed + fabric.global_rank)
        seconds = _resume(state, folder, fabric)
        # Rounds that a run compiles on its way are compiled elsewhere in a run that continues.
        name = "captured" if options.deterministic and options.execution == "auto" else options.execution
        execution = choose_execution(name, transfer, state, teacher, fabric)
        stack.callback(execution.close)
        log_once(logger, logging.INFO, "on %s in %s, %s", fabric.device.type, prepared.precision, execution.describe())
        tensorboard = _open_tensorboard(options, folder, fabric, attempt=number, first_round=state.round)
        clock = Clock(seconds)
        recorder = Recorder(
            prepared=prepared, options=options, state=state, folder=folder, clock=clock, tensorboard=tensorboard
        )
        stack.callback(recorder.close)
        recorder.write_source_metadata()
        policy = CollapsePolicy(prepared, options.on_collapse, state=state, folder=folder, clock=clock, attempt=number)
        yield Attempt(
            prepared=prepared,
            state=state,
            execution=execution,
            recorder=recorder,
            policy=policy,
            clock=clock,
            teacher_cost=teacher_cost,
            student_cost=student_cost,
        )


def _count_passes(state: TransferState, teacher: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
    """Count the examples that pass each network forwards, until the hooks are removed."""

    def count_teacher(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        state.teacher_passes += len(inputs[0])

    def count_student(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        state.student_passes += len(inputs[0])

    return teacher.register_forward_pre_hook(count_teacher), state.student.register_forward_pre_hook(count_student)


def _resume(state: TransferState, folder: RunFolder, fabric: Fabric) -> float:
    """Continue from the checkpoint, if there is one; return the seconds of training so far."""
    checkpoint = find_checkpoint(folder)
    if checkpoint is None:
        if fabric.is_global_zero:
            folder.rewind_metrics(0)
        return seconds_before(folder)
    resumed = load_checkpoint(folder, checkpoint, state, fabric)
    if fabric.is_global_zero:
        folder.rewind_metrics(resumed.round)
        logger.info("continuing %s after round %d", folder.path, resumed.round)
    return resumed.seconds


def _open_tensorboard(
    options: RunOptions, folder: RunFolder, fabric: Fabric, *, attempt: int, first_round: int
) -> TensorBoardLog | None:
    if options.log != "tensorboard" or not fabric.is_global_zero:
        return None
    path = folder.path / "tensorboard"
    return TensorBoardLog(path / f"restart_{attempt}" if attempt else path, first_round=first_round)
