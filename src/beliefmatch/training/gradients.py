"""Whether the gradients that a source follows are there: a round without them runs, and teaches nothing."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.gradients import INPUTS_WANTED, check_gradient, gradient_arrives
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.base import AbstractSource

STIR = 0.01
"""Standard deviation of what is added to the parameters of a student before it is checked."""
RECIPES = "noise, unlabelled, few_shot, or best with --source.refined-share 0"
"""Those whose sources follow no gradient."""


def check_gradients(source: AbstractSource[Any], teacher: Teacher, student: nn.Module) -> None:
    """Check that gradients reach the inputs of those networks whose gradients a source follows.

    Args:
        source: says which it follows.
        teacher: on the CPU.
        student: likewise; stays as it is.

    Raises:
        NetworkError: none arrive, or only zeros.
    """
    needed_by = f"{type(source).__name__} follows: take a recipe whose inputs need none ({RECIPES}), or {INPUTS_WANTED}"
    if source.follows_teacher:
        check_gradient(teacher.module, teacher.spec, role="teacher", needed_by=needed_by)

    def gap(inputs: Tensor) -> Tensor:
        return teacher.statistics_gap(teacher.beliefs(inputs, tap_batch_norms=True))

    if source.reads_batch_norms and teacher.batch_norms and not gradient_arrives(teacher.module, teacher.spec, gap):
        raise NetworkError(f"no gradient of the teacher's batch-norm statistics reaches its inputs, which {needed_by}")
    if source.follows_student:
        check_gradient(_stirred(student), teacher.spec, role="student", needed_by=needed_by)


def _stirred(student: nn.Module) -> nn.Module:
    """Copy a student and move its parameters a little: many begin with a head of zeros, which stops gradients at first.

    Where its code stops them, no weights let them through.
    """
    moved = copy.deepcopy(student)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in moved.parameters():
            if parameter.is_floating_point():
                parameter.add_(STIR * torch.randn(parameter.shape, generator=random).to(parameter))
    return moved
