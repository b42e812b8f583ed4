"""Attention transfer: Zagoruyko & Komodakis 2017, as used by Micaelli & Storkey 2019."""

from torch import Tensor
from torch.nn.functional import normalize

from beliefmatch.functional.precision import widened


def attention_map(activation: Tensor) -> Tensor:
    """Where a layer looks: the mean over channels of the squared activation, flattened, with L2 norm 1.

    Args:
        activation: (batch, channels, *positions), any number of position axes.

    Returns:
        (batch, positions).
    """
    return normalize(widened(activation).square().mean(dim=1).flatten(start_dim=1), dim=1)


def attention_distance(teacher_map: Tensor, student_map: Tensor) -> Tensor:
    """Mean over positions of the squared difference of two attention maps.

    Args:
        teacher_map: (batch, positions), from `attention_map`.
        student_map: (batch, positions), likewise.

    Returns:
        (batch,), in [0, 2 / positions].
    """
    return (student_map - teacher_map).square().mean(dim=1)
