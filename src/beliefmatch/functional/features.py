"""Feature matching: Romero et al. 2015, FitNets. Where channels differ in number, the best linear map lies between."""

import torch
from torch import Tensor

from beliefmatch.functional.upcast import upcast

LEAST_POWER = 1e-6
"""Mean square of features at least, so that an input on which the teacher is silent does not outweigh all others."""
RIDGE = 1e-3
"""Added to the diagonal of the channels' moments, as part of its mean, before the best linear map is solved for."""


def feature_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """Compute the squared distance of features over the mean square of the teacher's, (batch,), at least 0.

    Where the student has as many channels as the teacher, they are taken to correspond. Where it has another number,
    FitNets learns a 1x1 convolution from its channels to the teacher's; here the best such map of this batch is solved
    for instead, so that nothing but the student is trained.

    Args:
        teacher: (batch, channels, *positions).
        student: (batch, any channels, *positions).
    """
    wanted, given = (upcast(features).flatten(start_dim=2) for features in (teacher, student))
    if given.shape[1] != wanted.shape[1]:
        # 16 bits round more than the ridge is.
        with torch.autocast(given.device.type, enabled=False):
            given = best_linear_map(given.detach(), wanted) @ given
    return (given - wanted).square().mean(dim=(1, 2)) / wanted.square().mean(dim=(1, 2)).clamp_min(LEAST_POWER)


def best_linear_map(inputs: Tensor, targets: Tensor) -> Tensor:
    """Compute the matrix that maps input channels to target channels with the least squares, (targets, inputs).

    Args:
        inputs: (batch, channels, positions); all examples and positions count alike.
        targets: (batch, other channels, positions).
    """
    moments = (inputs @ inputs.mT).sum(dim=0)
    products = (inputs @ targets.mT).sum(dim=0)
    ridge = RIDGE * moments.diagonal().mean() + torch.finfo(moments.dtype).tiny
    # No error is checked for, which would wait for the device: with the ridge the matrix is positive definite.
    factor, _ = torch.linalg.cholesky_ex(
        moments + ridge * torch.eye(len(moments), dtype=moments.dtype, device=moments.device)
    )
    return torch.cholesky_solve(products, factor).mT
