"""Starting a small network from a larger one: Xu et al. 2024, "Initializing Models with Larger Ones" (ICLR)."""

import logging

import torch
from torch import Tensor, nn

from beliefmatch.log_once import log_once
from beliefmatch.networks.state_dicts import tensors_in

logger = logging.getLogger(__name__)

FAMILY = 0.5
"""Fraction of a network's matrices and kernels that fit one of its family at least; by chance far fewer do."""


def start_from_teacher(student: nn.Module, teacher: nn.Module) -> None:
    """Copy the teacher's weights into a student of the same family, in place; one of another starts from fresh weights.

    Two networks are of one family where at least half of the student's matrices and kernels can be cut from one of the
    same name in the teacher. A few names that two families share by chance are no start.
    """
    if is_of_family(student, teacher):
        copied = select_weights(student, teacher)
        log_once(
            logger,
            logging.INFO,
            "%d of the student's %d tensors start as the teacher's",
            len(copied),
            len(tensors_in(student)),
        )
        return
    fits, weights = _count_fitting(student, teacher)
    log_once(
        logger,
        logging.WARNING,
        "the student is of another family than its teacher (%d of its %d matrices and kernels fit), so it starts from "
        "fresh weights. A student of the teacher's family, narrower or shallower, learns sooner.",
        fits,
        weights,
    )


def is_of_family(student: nn.Module, teacher: nn.Module) -> bool:
    """Whether a student can start from its teacher's weights; see `start_from_teacher`."""
    fits, weights = _count_fitting(student, teacher)
    return fits >= FAMILY * weights


def _count_fitting(student: nn.Module, teacher: nn.Module) -> tuple[int, int]:
    """Return how many of the student's matrices and kernels can be cut from the teacher's, and how many it has."""
    weights = {name for name, tensor in tensors_in(student).items() if tensor.dim() > 1}
    return len(weights.intersection(_find_fitting(student, teacher))), len(weights)


def select_weights(network: nn.Module, larger: nn.Module) -> list[str]:
    """Copy into a network, in place, what a larger one of the same family has under the same names.

    Where a layer is narrower, the first channels are taken, the same ones in every layer, so that the outputs of one
    layer are those that the next one was trained on. (Evenly spaced channels, as in the paper, would not match those of
    a linear layer after a flattening.) Where it has fewer blocks, the first of each stage are taken. Running statistics
    are copied too.

    Args:
        network: changed in place.
        larger: the source of the weights; it stays as it is.

    Returns:
        Names of the parameters and buffers that were copied. Those whose name, number of axes or size of kernel
        differs, or that are larger than what there is, keep what they have.
    """
    given, state, copied = tensors_in(larger), tensors_in(network), _find_fitting(network, larger)
    with torch.no_grad():
        for name in copied:
            first = tuple(slice(size) for size in state[name].shape)
            state[name].copy_(given[name][first])
    return copied


def _find_fitting(network: nn.Module, larger: nn.Module) -> list[str]:
    """Return the names of the tensors that can be cut from one of the same name in a larger network."""
    given = tensors_in(larger)
    return [name for name, tensor in tensors_in(network).items() if name in given and _fits(tensor, given[name])]


def _fits(tensor: Tensor, given: Tensor) -> bool:
    if tensor.dim() != given.dim():
        return False
    # A corner of a kernel is none. Positions of a transformer, (1, positions, width), are no kernels.
    is_kernel = tensor.dim() > 2 and tensor.shape[0] > 1
    if is_kernel and tensor.shape[2:] != given.shape[2:]:
        return False
    return all(size <= there for size, there in zip(tensor.shape, given.shape, strict=True))
