"""Starting a small network from a larger one: Xu et al. 2024, "Initializing Models with Larger Ones" (ICLR)."""

import torch
from torch import Tensor, nn


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
    given, state = larger.state_dict(), network.state_dict()
    copied = [name for name, tensor in state.items() if name in given and _fits(tensor, given[name])]
    with torch.no_grad():
        for name in copied:
            first = tuple(slice(size) for size in state[name].shape)
            state[name].copy_(given[name][first])
    return copied


def _fits(tensor: Tensor, given: Tensor) -> bool:
    if tensor.dim() != given.dim():
        return False
    # A corner of a kernel is none. Positions of a transformer, (1, positions, width), are no kernels.
    is_kernel = tensor.dim() > 2 and tensor.shape[0] > 1
    if is_kernel and tensor.shape[2:] != given.shape[2:]:
        return False
    return all(size <= there for size, there in zip(tensor.shape, given.shape, strict=True))
