import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from beliefmatch.functional.batch_norm_moments import batch_norm_moments

SHAPES = [(6, 3, 4, 5), (6, 2), (6, 4, 7)]


def layers() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    random = torch.Generator().manual_seed(0)
    activations = [3 + 2 * torch.randn(shape, generator=random) for shape in SHAPES]
    means = [torch.randn(shape[1], generator=random) for shape in SHAPES]
    variances = [0.1 + torch.rand(shape[1], generator=random) for shape in SHAPES]
    return activations, means, variances


def looped(activations: list[Tensor], means: list[Tensor], variances: list[Tensor], epsilon: float) -> Tensor:
    rows = []
    for example in range(len(activations[0])):
        gaps, squares = [], []
        for activation, mean, variance in zip(activations, means, variances, strict=True):
            for channel in range(activation.shape[1]):
                away = activation[example, channel].double().flatten() - mean[channel].double()
                scale = variance[channel].double() + epsilon
                gaps.append(away.mean() / scale.sqrt())
                squares.append((away.square().mean() - variance[channel]) / scale)
        rows.append(torch.stack([*gaps, *squares]))
    return torch.stack(rows).float()


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5])
def test_moments_are_those_of_a_plain_loop(epsilon: float) -> None:
    found = batch_norm_moments(*layers(), epsilon=epsilon)
    assert found.shape == (6, 2 * (3 + 2 + 4))
    assert found.dtype == torch.float32
    assert_close(found, looped(*layers(), epsilon))


def test_the_layout_in_memory_changes_nothing() -> None:
    activations, means, variances = layers()
    first = activations[0].contiguous(memory_format=torch.channels_last)
    assert_close(batch_norm_moments([first, *activations[1:]], means, variances), batch_norm_moments(*layers()))


def test_the_mean_of_each_moment_is_0_over_the_remembered_data() -> None:
    data = 5 + 2 * torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    layer = nn.BatchNorm2d(3, momentum=1.0)
    layer(data)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    size = 64 * 16
    found = batch_norm_moments([data], [layer.running_mean], [layer.running_var * (size - 1) / size])
    assert_close(found.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)


def test_a_channel_that_is_always_the_same_has_finite_moments() -> None:
    found = batch_norm_moments([torch.full((4, 2, 3), 7.0)], [torch.tensor([7.0, 6.0])], [torch.zeros(2)])
    assert found.isfinite().all()
    assert_close(found[:, [0, 2]], torch.zeros(4, 2))
    assert (found[:, [1, 3]] > 100).all()


def test_moments_far_from_0_and_in_16_bits_are_exact() -> None:
    values = (1000 + 8 * torch.randn((5, 2, 64), generator=torch.Generator().manual_seed(0))).bfloat16()
    means, variances = [torch.full((2,), 1000.0)], [torch.full((2,), 64.0)]
    found = batch_norm_moments([values], means, variances)
    assert found.dtype == torch.float32
    assert_close(found, looped([values], means, variances, 1e-5))
