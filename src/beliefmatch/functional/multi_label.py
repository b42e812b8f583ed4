"""Labels that are true or not, each by itself: divergences, and right or wrong.

All take logits (..., labels), of which the sigmoid is the probability that a label is true. A label is predicted where
its logit is above 0.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def predicted_labels(logits: Tensor) -> Tensor:
    """Whether each label is more likely true than not, in the shape of the logits, bool."""
    return logits > 0


def binary_kl_divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute KL(teacher || student) of each label's probability, summed over labels, (batch,), in nats.

    It is the binary cross-entropy of both probabilities, less the teacher's own entropy, which no student changes.
    """
    first, second = teacher_logits / temperature, student_logits / temperature
    return _kl(_log_both(first), _log_both(second)).sum(dim=1)


def binary_js_divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the Jensen-Shannon divergence of each label, summed over labels, (batch,), in nats."""
    first, second = _log_both(teacher_logits / temperature), _log_both(student_logits / temperature)
    mixture = torch.logaddexp(first, second) - math.log(2.0)
    return ((_kl(first, mixture) + _kl(second, mixture)) / 2).sum(dim=1)


def l1_distance(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the mean absolute difference of outputs, (batch,). Nothing is centred: each output counts by itself."""
    return ((teacher_logits - student_logits) / temperature).abs().mean(dim=1)


def label_agreement(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Whether both networks predict each label alike, in the shape of the logits, bool."""
    return predicted_labels(teacher_logits) == predicted_labels(student_logits)


def label_confidence(logits: Tensor) -> Tensor:
    """Compute the probability of what is predicted of a label, mean over labels, (...,), in [1 / 2, 1]."""
    return logits.abs().sigmoid().mean(dim=-1)


def label_frequencies(logits: Tensor) -> Tensor:
    """Compute the fraction of a batch for which each label is predicted.

    Args:
        logits: (*batches, batch, labels).

    Returns:
        (*batches, labels), in [0, 1]; they have no fixed sum.
    """
    return predicted_labels(logits).to(logits.dtype).mean(dim=-2)


def f1_scores(counts: Tensor) -> Tensor:
    """Compute micro and macro F1 of counts, or of their means over examples.

    F1 of a label is 2 hits / (2 hits + false alarms + misses). Micro sums the counts over labels first; macro is the
    mean over labels of F1, which is 0 for a label that is neither true nor predicted anywhere.

    Args:
        counts: (..., 3, labels): hits, false alarms and misses.

    Returns:
        (..., 2), micro and macro, in [0, 1].
    """
    micro = _f1(counts.sum(dim=-1))
    macro = _f1(counts.movedim(-2, -1)).mean(dim=-1)
    return torch.stack([micro, macro], dim=-1)


def _f1(counts: Tensor) -> Tensor:
    """Compute F1 of (..., 3) hits, false alarms and misses, (...,); 0 where all are 0."""
    hits, false_alarms, misses = counts.unbind(dim=-1)
    whole = 2 * hits + false_alarms + misses
    return 2 * hits / whole.where(whole > 0, 1)


def _log_both(logits: Tensor) -> Tensor:
    """Compute the logarithms of the probabilities that a label is true and that it is not, (2, ...)."""
    return torch.stack([logsigmoid(logits), logsigmoid(-logits)])


def _kl(first: Tensor, second: Tensor) -> Tensor:
    """Compute KL of log probabilities (2, ...), (...,)."""
    return (first.exp() * (first - second)).sum(dim=0)
