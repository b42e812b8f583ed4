"""Right or wrong, alike or not, sure or unsure: one value per example."""

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
