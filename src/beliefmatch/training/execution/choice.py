"""Which way rounds are done: captured where they can be, compiled before that where it pays, otherwise eager."""

from lightning_fabric import Fabric
from torch import nn

from beliefmatch.networks.placement import keep_contiguous
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.captured import CapturedExecution
from beliefmatch.training.execution.compiled import CompiledExecution, CompiledNetworks
from beliefmatch.training.execution.eager import EagerExecution
from beliefmatch.training.loop import TransferState, start
from beliefmatch.training.options import ExecutionName
from beliefmatch.training.prepare import prepare_on
from beliefmatch.training.transfer import Transfer


def choose_execution(
    name: ExecutionName, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric
) -> AbstractExecution:
    """Choose how the rounds of a run are done.

    Args:
        name: what the user asked for.
        transfer: settings, resolved.
        state: moves.
        teacher: stays.
        fabric: device, precision and processes.
    """
    if name == "compiled":
        networks = CompiledNetworks(transfer, state.student, teacher)
        return CompiledExecution(_captured_or_eager(name, networks.transfer, state, teacher, fabric), networks)
    return _captured_or_eager(name, transfer, state, teacher, fabric)


def begin_rounds(
    transfer: Transfer,
    fabric: Fabric,
    name: ExecutionName,
    *,
    teacher: nn.Module | None = None,
    student: nn.Module | None = None,
    contiguous: bool = False,
) -> AbstractExecution:
    """Prepare a transfer and begin its rounds in memory alone.

    Args:
        transfer: what to compute.
        fabric: device and precision, in one process.
        name: how to do the rounds.
        teacher: stands in for the transfer's own.
        student: likewise; moves.
        contiguous: whether both keep contiguous memory format, which code in train mode may need.

    Raises:
        BeliefMatchError: a network does not fit.
    """
    prepared = prepare_on(fabric, transfer, teacher=teacher, student=student)
    if contiguous:
        for network in (prepared.teacher.module, prepared.student):
            keep_contiguous(network)
    state = start(prepared.transfer, prepared.teacher, prepared.student, fabric)
    return choose_execution(name, prepared.transfer, state, prepared.teacher, fabric)


def why_not_captured(transfer: Transfer, fabric: Fabric) -> str:
    """Return why rounds of a transfer cannot be captured here; empty where nothing speaks against it."""
    if fabric.device.type != "cuda":
        return "only a CUDA device captures them"
    if fabric.world_size > 1:
        return "several processes talk to each other in them"
    return transfer.source.why_eager


def _captured_or_eager(
    name: ExecutionName, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric
) -> AbstractExecution:
    if reason := "asked for" if name == "eager" else why_not_captured(transfer, fabric):
        return EagerExecution(transfer, state, teacher, fabric, reason=reason)
    return CapturedExecution(transfer, state, teacher, fabric, may_compile=name == "auto")
