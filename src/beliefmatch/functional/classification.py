"""Right or wrong, alike or not, sure or unsure: one value per example.

Among classes of equal logits the one with the lowest number counts as more likely, everywhere.
"""

import torch
from torch import Tensor
from torch.nn.functional import softmax


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the most likely class of logits (batch, classes) is the label, (batch,), bool."""
    return logits.argmax(dim=1) == labels


def agreement(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Whether the most likely class of both networks' logits (batch, classes) is the same, (batch,), bool."""
    return teacher_logits.argmax(dim=1) == student_logits.argmax(dim=1)


def confidence(logits: Tensor) -> Tensor:
    """Compute the probability of the most likely class of logits (batch, classes), (batch,), in [1 / classes, 1]."""
    return softmax(logits, dim=1).amax(dim=1)


def class_frequencies(logits: Tensor) -> Tensor:
    """Compute the fraction of a batch for which each class is the most likely one.

    Args:
        logits: (*batches, batch, classes), one batch or several.

    Returns:
        (*batches, classes), in [0, 1], with sum 1 over classes.
    """
    classes = torch.arange(logits.shape[-1], device=logits.device)
    return (logits.argmax(dim=-1, keepdim=True) == classes).to(logits.dtype).mean(dim=-2)


def in_top(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether the label is among the k most likely classes of logits (batch, classes), (batch,), bool.

    Ties are resolved as `correct` resolves them, so that k = 1 gives the same, and a larger k never less.
    """
    own = logits.gather(1, labels[:, None])
    lower = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    return ((logits > own) | ((logits == own) & lower)).sum(dim=1) < k
