"""Divergences between the beliefs of two networks, one value per example.

All take logits (batch, classes), which they divide by the temperature, and return (batch,), at least 0. They work in
log space: a confident teacher's probabilities underflow to zero, and functions of probabilities then have NaN gradients
through their target. Gradients flow into both arguments.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

DivergenceName = Literal["kl", "js", "l1"]


def kl_divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the forward Kullback-Leibler divergence KL(teacher || student), (batch,), in nats.

    Micaelli & Storkey 2019, equation 1. There is no factor of the squared temperature.
    """
    teacher = log_softmax(teacher_logits / temperature, dim=1)
    student = log_softmax(student_logits / temperature, dim=1)
    return kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)


def js_divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the Jensen-Shannon divergence, (batch,), in nats, at most log 2.

    It is the mean KL of both beliefs to their mixture (Lin 1991).
    """
    teacher = log_softmax(teacher_logits / temperature, dim=1)
    student = log_softmax(student_logits / temperature, dim=1)
    mixture = torch.logaddexp(teacher, student) - math.log(2.0)
    to_teacher = kl_div(mixture, teacher, reduction="none", log_target=True).sum(dim=1)
    to_student = kl_div(mixture, student, reduction="none", log_target=True).sum(dim=1)
    return (to_teacher + to_student) / 2


def l1_divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the mean absolute difference of logits whose mean over classes is removed, (batch,), in logits.

    Softmax ignores a constant added to all logits, so the mean carries no belief. The gradient does not vanish as
    the student nears the teacher (Fang et al. 2019, DFAD; Truong et al. 2021, DFME).
    """
    difference = (teacher_logits - student_logits) / temperature
    return (difference - difference.mean(dim=1, keepdim=True)).abs().mean(dim=1)


def divergence_factor(weight: float, num_classes: int, *, divide_by_classes: bool) -> float:
    """Return the factor of a divergence summed over classes: the weight, or the weight of its mean over classes.

    The code that Micaelli & Storkey released averages the KL over classes too, so that its scale follows their number.
    """
    return weight / num_classes if divide_by_classes else weight


Divergence = Callable[[Tensor, Tensor, float], Tensor]

DIVERGENCES: dict[DivergenceName, Divergence] = {"kl": kl_divergence, "js": js_divergence, "l1": l1_divergence}
