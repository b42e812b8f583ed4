"""The preflight: one round on copies before anything is written, so that what is broken fails at once."""

import copy
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from beliefmatch.errors import BeliefMatchError, NetworkError, first_line
from beliefmatch.functional.micro_batches import smallest_part
from beliefmatch.log_once import log_once
from beliefmatch.networks.gradients import INPUTS_WANTED, check_gradient, raise_no_gradient
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection
from beliefmatch.networks.placement import is_of_memory_format, keep_contiguous
from beliefmatch.networks.recording import noise_for
from beliefmatch.networks.state_dicts import as_tensors
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipe_overviews import WITHOUT_GRADIENTS
from beliefmatch.runs.collapse_detection import advice_on
from beliefmatch.setting_names import Setting
from beliefmatch.sources.base import AbstractSource
from beliefmatch.training.collapse_policy import whose_outputs
from beliefmatch.training.loop import run_round, start
from beliefmatch.training.precision import make_fabric
from beliefmatch.training.prepare import Prepared
from beliefmatch.training.state import pack
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

NUDGE = 0.01
"""Standard deviation of what is added to the parameters of a student before its gradient is checked."""
UNTRAINED = (
    "no gradient reaches any parameter of the student, so nothing would be trained: its forward pass detaches what its "
    "layers compute, or uses layers that are not its own, as a function in place of forward does that holds those of "
    "the network it was copied from"
)


def preflight(prepared: Prepared) -> None:
    """Run one round with copies of both networks, on the CPU and on two examples, before anything is written.

    Where micro-batches will be of one example, each of the two passes alone; where a batch has one in a process, so has
    the preflight's.

    Raises:
        NetworkError: a round fails in a way that a forward pass in eval mode did not show, such as batch-norm on one
            value a channel, or gives values that are not finite; the source follows gradients that do not arrive; or
            none reaches a parameter of the student.
        BeliefMatchError: the source cannot serve these networks.
    """
    if not any(parameter.requires_grad for parameter in prepared.student.parameters()):
        raise NetworkError(
            "no parameter of the student takes a gradient, so nothing would be trained: expected at least one with "
            "requires_grad; call student.requires_grad_(True)"
        )
    log_once(logger, logging.INFO, "preflight: one round on copies of both networks, before anything is written")
    with torch.random.fork_rng(devices=[]):
        try:
            _run_in_some_format(_shortened(prepared), prepared)
        except BeliefMatchError:
            raise
        except Exception as error:
            # Networks are the user's own and can fail in any way.
            if _is_detached(prepared.student, prepared.teacher.spec):
                raise NetworkError(UNTRAINED) from error
            precision, other = prepared.precision, Setting("precision", "32-true")
            hint = "" if precision == "32-true" else f" (in {precision}; does it work with {other}?)"
            raise NetworkError(
                f"a first round in train mode fails: {type(error).__name__}: {first_line(error)}{hint}"
            ) from error


def _is_detached(student: nn.Module, spec: InputSpec) -> bool:
    """Whether the outputs of a student in train mode have no gradient at all."""
    copied = copy.deepcopy(student).train()
    with suppress(Exception):
        outputs = tree_leaves(copied(noise_for(copied, spec, num_examples=2)))
        return not any(each.requires_grad for each in outputs if isinstance(each, Tensor))
    return False


def _run_in_some_format(transfer: Transfer, prepared: Prepared) -> None:
    """Run on copies; where channels-last format makes a network fail in train mode, both keep contiguous ones."""
    try:
        _run_on_copies(transfer, prepared)
    except RuntimeError as error:
        if not is_of_memory_format(error):
            raise
        for network in (prepared.teacher.module, prepared.student):
            keep_contiguous(network)
        _run_on_copies(transfer, prepared)
        log_once(
            logger,
            logging.INFO,
            "a network uses view() on feature maps in train mode, which needs contiguous tensors: both compute so, "
            "somewhat slower; reshape() or flatten() in its code would take any",
        )


def _shortened(prepared: Prepared) -> Transfer:
    """Return the settings of a round that is as short as shows that it works."""
    size = prepared.local_batch_size
    least = smallest_part(size, prepared.transfer.micro_batch)
    source = prepared.transfer.source.for_preflight()
    return replace(prepared.transfer, source=source, batch_size=min(size, 2), micro_batch=min(least, 2))


def _run_on_copies(transfer: Transfer, prepared: Prepared) -> None:
    teacher = prepared.teacher.copied()
    fabric = make_fabric("cpu", prepared.precision)
    state = start(transfer, teacher, copy.deepcopy(prepared.student), fabric)
    check_gradients(transfer.source, teacher, state.student, prepared.inspection)
    trained: list[Tensor] = []
    for parameter in state.student.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(trained.append)
    run_round(transfer, state, teacher, fabric)
    if not trained:
        raise NetworkError(UNTRAINED)
    pack(state)
    as_tensors(state.student, role="student")
    if int(state.first_bad_round) >= 0:
        raise NetworkError(
            "a first round in train mode fails: a loss or gradient is not finite"
            f"{whose_outputs(state, transfer)}; try {advice_on('diverged')}"
        )


def check_gradients(source: AbstractSource[Any], teacher: Teacher, student: nn.Module, inspection: Inspection) -> None:
    """Check that gradients reach the inputs of those networks whose gradients a source follows.

    A round without them would run, and improve nothing.

    Args:
        source: its `needs` name which it follows.
        teacher: on the CPU.
        student: likewise; stays as it is.
        inspection: of the student.

    Raises:
        NetworkError: none arrive, or only zeros.
    """
    needed_by = (
        f"{type(source).__name__} follows: take a recipe whose inputs need none ({WITHOUT_GRADIENTS}), or "
        f"{INPUTS_WANTED}"
    )
    if source.needs.teacher_gradient:
        raise_no_gradient(teacher.inspection.why_no_gradient, role="teacher", needed_by=needed_by)
    if source.needs.batch_norms and teacher.batch_norms and not teacher.inspection.statistics_have_gradient:
        raise NetworkError(f"no gradient of the teacher's batch-norm statistics reaches its inputs, which {needed_by}")
    if source.needs.student_gradient and inspection.why_no_gradient is not None:
        check_gradient(_nudged(student), teacher.spec, role="student", needed_by=needed_by)


def _nudged(student: nn.Module) -> nn.Module:
    """Copy a student and move its parameters a little: many begin with a head of zeros, which stops gradients at first.

    Where its code stops them, no weights let them through.
    """
    moved = copy.deepcopy(student)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in moved.parameters():
            if parameter.is_floating_point():
                parameter.add_(NUDGE * torch.randn(parameter.shape, generator=random).to(parameter))
    return moved
