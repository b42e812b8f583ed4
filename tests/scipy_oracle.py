"""The expected calibration error, by SciPy's bins."""

import torch
from scipy.stats import binned_statistic
from torch import Tensor


def binned_calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Sum the gaps of 15 bins of confidence, each weighted with its part of the examples (Guo et al. 2017, eq. 3)."""
    confidence, classes = logits.double().softmax(dim=1).max(dim=1)
    surplus = (classes == labels).double() - confidence
    sums = binned_statistic(confidence.numpy(), surplus.numpy(), "sum", bins=15, range=(0, 1)).statistic
    return float(torch.from_numpy(sums).abs().sum() / len(labels))
