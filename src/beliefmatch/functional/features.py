"""Feature matching: Romero et al. 2015, FitNets, without a layer in between, for networks whose channels correspond."""

from torch import Tensor

from beliefmatch.functional.upcast import upcast

LEAST_POWER = 1e-6
"""Mean square of features at least, so that an input on which the teacher is silent does not outweigh all others."""


def feature_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """Compute the squared distance of features over the mean square of the teacher's, (batch,), at least 0.

    Args:
        teacher: (batch, channels, *positions).
        student: likewise.
    """
    wanted, given = (upcast(features).flatten(start_dim=1) for features in (teacher, student))
    return (given - wanted).square().mean(dim=1) / wanted.square().mean(dim=1).clamp_min(LEAST_POWER)
