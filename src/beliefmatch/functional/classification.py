"""Right or wrong, alike or not, sure or unsure: one value per example."""

import torch
from torch import Tensor
from torch.nn.functional import softmax


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the most likely class is the label.

    Args:
        logits: (batch, classes).
        labels: (batch,), integers.

    Returns:
        (batch,), bool.
    """
    return logits.argmax(dim=1) == labels


def agreement(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Whether both networks find the same class most likely.

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).

    Returns:
        (batch,), bool.
    """
    return teacher_logits.argmax(dim=1) == student_logits.argmax(dim=1)


def confidence(logits: Tensor) -> Tensor:
    """Probability of the most likely class.

    Args:
        logits: (batch, classes).

    Returns:
        (batch,), in [1 / classes, 1].
    """
    return softmax(logits, dim=1).amax(dim=1)


def class_frequencies(logits: Tensor) -> Tensor:
    """How often each class is the most likely one. It belongs to a batch, not to an example.

    Args:
        logits: (*batches, batch, classes), one batch or several.

    Returns:
        (*batches, classes), in [0, 1], with sum 1 over classes.
    """
    classes = torch.arange(logits.shape[-1], device=logits.device)
    return (logits.argmax(dim=-1, keepdim=True) == classes).to(logits.dtype).mean(dim=-2)


def in_top(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether the label is among the k most likely classes.

    Args:
        logits: (batch, classes).
        labels: (batch,), integers.
        k: at most the number of classes.

    Returns:
        (batch,), bool.
    """
    return (logits.topk(k, dim=1).indices == labels[:, None]).any(dim=1)
