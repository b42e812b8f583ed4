import pytest
import torch

from beliefmatch.functional.textures import contours, spectral_noise, textures


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 7, 9), (2, 64), (64,)])
def test_textures_fill_the_range_of_pixels_and_no_two_are_alike(shape: tuple[int, ...]) -> None:
    drawn = textures(40, shape, draws(), torch.float32, contour_share=0.4)
    assert drawn.shape == (40, *shape)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.flatten(1).unique(dim=0).shape[0] == 40
    assert 0.2 < float(drawn.std()) < 0.5


def test_the_same_seed_draws_the_same() -> None:
    first, second = (textures(4, (3, 8, 8), draws(3), torch.float64, contour_share=0.4) for _ in range(2))
    assert torch.equal(first, second)


def test_the_spectrum_of_noise_falls() -> None:
    noise = spectral_noise(200, (1, 32, 32), draws(), torch.float64)
    power = torch.fft.rfft2(noise).abs().square().mean(dim=(0, 1))
    assert power[1, 1] > 20 * power[8, 8] > 20 * power[15, 15]


def test_noise_has_variance_one_and_no_mean() -> None:
    noise = spectral_noise(10, (1, 16, 16), draws(), torch.float64)
    torch.testing.assert_close(noise.mean(dim=(1, 2, 3)), torch.zeros(10, dtype=torch.float64))
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.ones(10, dtype=torch.float64))


def test_channels_of_noise_are_alike_to_different_degrees() -> None:
    noise = spectral_noise(60, (2, 16, 16), draws(), torch.float64).flatten(2)
    alike = torch.stack([torch.corrcoef(example)[0, 1] for example in noise])
    assert alike.min() < 0.3
    assert alike.max() > 0.8


def test_contours_are_strokes_on_black() -> None:
    drawn = contours(200, (1, 28, 28), draws(), torch.float64)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn < 0.1).double().mean() > 0.5
    across = (drawn > 0.4).double().diff(dim=3).abs().sum(dim=(1, 2, 3))
    assert (across > 0).double().mean() > 0.7


@pytest.mark.parametrize("shape", [(1, 1, 9), (3, 1), (2, 1, 1)])
def test_textures_of_a_single_position_are_finite(shape: tuple[int, ...]) -> None:
    assert textures(10, shape, draws(), torch.float32, contour_share=0.4).isfinite().all()
