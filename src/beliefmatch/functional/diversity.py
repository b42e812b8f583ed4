"""How much the examples of a batch differ from one another."""

import torch
from torch import Tensor

from beliefmatch.functional.upcast import upcast


def diversity(inputs: Tensor) -> Tensor:
    """Compute the root of the variance over examples, averaged over positions, relative to the root mean square of all.

    0 where all examples are equal, whatever they show; 1 where they have nothing in common, such as independent
    inputs with mean 0. It does not change when all inputs are scaled alike. A batch has it and an example has not.

    Args:
        inputs: (batch, *shape), at least two examples.

    Returns:
        (), in [0, 1].
    """
    examples = upcast(inputs).flatten(start_dim=1)
    least = torch.finfo(examples.dtype).tiny
    # Squares of inputs as large as a generator can make would overflow.
    scaled = examples / examples.abs().amax().clamp_min(least)
    # Tensor.var takes twenty times as long over the first dimension on a CPU.
    variance = (scaled - scaled.mean(dim=0)).square().mean()
    return (variance / scaled.square().mean().clamp_min(least)).sqrt()
