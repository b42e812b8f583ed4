"""Losses of inputs optimised for a network: confidence, class balance, activation, smoothness, diversity."""

import math

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy, log_softmax, normalize

from beliefmatch.functional.upcast import upcast


def one_hot_loss(logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """Compute the cross-entropy of a belief with a class, in nats: small where the network is sure of it.

    Without labels the class is the one it finds most likely itself (Chen et al. 2019, equation 3).

    Args:
        logits: (batch, classes).
        labels: (batch,), the classes that were asked for; or None.

    Returns:
        (batch,), at least 0.
    """
    return cross_entropy(logits, logits.argmax(dim=1) if labels is None else labels, reduction="none")


def class_imbalance(logits: Tensor) -> Tensor:
    """Compute the negative entropy of the mean belief, in nats: least where all classes are equally frequent.

    Chen et al. 2019, equation 5, whose code takes logarithms to the base ten. A batch has a mean belief and an example
    has none, so this is a scalar.

    Args:
        logits: (batch, classes).

    Returns:
        (), in [-log classes, 0].
    """
    # In log space: the probability of a class that never comes underflows.
    log_mean = torch.logsumexp(log_softmax(logits, dim=1), dim=0) - math.log(len(logits))
    return (log_mean.exp() * log_mean).sum()


def activation_size(features: Tensor) -> Tensor:
    """Compute the mean absolute feature, large for inputs like the training data (Chen et al. 2019, equation 4).

    Args:
        features: (batch, features), or (batch, channels, *positions).

    Returns:
        (batch,), at least 0.
    """
    return upcast(features).abs().flatten(start_dim=1).mean(dim=1)


def total_variation(inputs: Tensor) -> Tensor:
    """Compute the L2 norm of differences of neighbours, summed over position axes (Yin et al. 2020, equation 3).

    Args:
        inputs: (batch, channels, *positions); (batch, features) have no positions.

    Returns:
        (batch,), at least 0; 0 where there are no positions.
    """
    total = inputs.new_zeros(len(inputs))
    for axis in range(2, inputs.dim()):
        total = total + vector_norm(inputs.diff(dim=axis).flatten(start_dim=1), dim=1)
    return total


def input_size(inputs: Tensor) -> Tensor:
    """Compute the L2 norm of each input (batch, *shape), (batch,) (Yin et al. 2020, equation 3)."""
    return vector_norm(inputs.flatten(start_dim=1), dim=1)


def contrastive_loss(queries: Tensor, keys: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Compute InfoNCE, the cross-entropy of an input's other view among all other inputs, in nats (Fang et al. 2021).

    Args:
        queries: (batch, features), embeddings of one view.
        keys: (batch, features), of the other view of the same inputs.
        others: (others, features), of other inputs; there may be none.
        temperature: cosine similarities are divided by it.

    Returns:
        (batch,), at least 0.
    """
    first, second = normalize(queries, dim=1), normalize(torch.cat([keys, others]), dim=1)
    similarity = first @ second.T / temperature
    return cross_entropy(similarity, torch.arange(len(queries), device=queries.device), reduction="none")
