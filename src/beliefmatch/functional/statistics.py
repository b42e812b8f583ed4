"""How far a batch lies from the statistics that a batch-norm layer remembers."""

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import mse_loss

from beliefmatch.functional.precision import widened


def statistics_gap(activation: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
    """L2 norm of the gap in means plus L2 norm of the gap in variances, over channels.

    Yin et al. 2020 (DeepInversion), equation 4, for one layer. A batch has statistics and an example has none, so
    this is the one function here that returns a scalar.

    Args:
        activation: (batch, channels, *positions), the input of the layer.
        running_mean: (channels,).
        running_var: (channels,).

    Returns:
        (), at least 0.
    """
    activation = widened(activation)
    axes = [axis for axis in range(activation.dim()) if axis != 1]
    mean = activation.mean(dim=axes, keepdim=True)
    # As torch's var, which is slower on a CPU: the variance has no gradient with respect to the mean.
    var = mse_loss(activation, mean.detach().expand_as(activation), reduction="none").mean(dim=axes)
    mean = mean.flatten()
    return vector_norm(mean - running_mean) + vector_norm(var - running_var)
