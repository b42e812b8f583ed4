"""A round on copies, before anything is written."""

import copy
from dataclasses import replace

import torch
from torch import nn

from beliefmatch.errors import BeliefMatchError, NetworkError, first_line
from beliefmatch.functional.micro_batches import smallest_part
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.collapse_detection import ADVICE
from beliefmatch.training.gradients import check_gradients
from beliefmatch.training.precision import SettledPrecision, make_fabric
from beliefmatch.training.state import pack
from beliefmatch.training.transfer import Transfer, run_round, start


def rehearse(
    transfer: Transfer, teacher: Teacher, student: nn.Module, *, share: int, precision: SettledPrecision
) -> None:
    """Do one round with copies of both networks, on the CPU and on two examples, before anything is written.

    Where micro-batches will be of one example, each of the two passes alone.

    Args:
        transfer: settled by `transfer.settle`.
        teacher: copied.
        student: copied.
        share: examples a batch in one process; with one, the rehearsal takes one too.
        precision: of the run.

    Raises:
        NetworkError: a round fails in a way that a forward pass in eval mode did not show, such as batch-norm on one
            value a channel, or gives values that are not finite; or the source follows gradients that do not arrive.
        BeliefMatchError: the source cannot serve these networks.
    """
    least = smallest_part(share, transfer.micro_batch)
    small = replace(transfer, source=transfer.source.shortened(), batch_size=min(share, 2), micro_batch=min(least, 2))
    with torch.random.fork_rng(devices=[]):
        try:
            copied = Teacher(copy.deepcopy(teacher.module), teacher.spec)
            fabric = make_fabric("cpu", precision)
            state = start(small, copied, copy.deepcopy(student), fabric)
            check_gradients(small.source, copied, state.student)
            run_round(small, state, copied, fabric)
            pack(state)
            if int(state.first_bad_round) >= 0:
                raise NetworkError(
                    f"a first round in train mode fails: a loss or gradient is not finite; try {ADVICE['diverged']}"
                )
        except BeliefMatchError:
            raise
        except Exception as error:
            # Networks are the user's own and can fail in any way.
            hint = "" if precision == "32-true" else f" (in {precision}; does it work with --precision 32-true?)"
            raise NetworkError(
                f"a first round in train mode fails: {type(error).__name__}: {first_line(error)}{hint}"
            ) from error
