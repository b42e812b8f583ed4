import pytest
import torch

from beliefmatch.functional.strokes import curves, distances
from beliefmatch.functional.textures import spectral_noise, textures


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 7, 9), (2, 64), (64,)])
def test_textures_fill_the_range_of_pixels_and_no_two_are_alike(shape: tuple[int, ...]) -> None:
    drawn = textures(40, shape, draws(), torch.float32, curve_fraction=0.6)
    assert drawn.shape == (40, *shape)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.flatten(1).unique(dim=0).shape[0] == 40
    assert 0.2 < float(drawn.std()) < 0.5


def test_the_same_seed_draws_the_same() -> None:
    first, second = (textures(4, (3, 8, 8), draws(3), torch.float64, curve_fraction=0.6) for _ in range(2))
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


def test_curves_are_strokes_on_black_in_frames_of_all_sizes() -> None:
    drawn = curves(300, (3, 24, 40), draws(), torch.float64)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert torch.equal(drawn[:, 0], drawn[:, 2])
    inked = drawn[:, 0] > 0.4
    assert inked.flatten(1).any(dim=1).double().mean() > 0.9
    assert 0.02 < inked.double().mean() < 0.3
    # They reach every row and column, whatever the sides of the image are.
    for share in (inked.double().mean(dim=(0, 2)), inked.double().mean(dim=(0, 1))):
        assert share.min() > 0


def test_a_straight_curve_is_as_far_away_as_it_is() -> None:
    along, across = torch.linspace(2.5, 17.5, 40, dtype=torch.float64), torch.full((40,), 4.5, dtype=torch.float64)
    line, nowhere = torch.stack([across, along], dim=1), torch.zeros(40, 2, dtype=torch.float64)
    found = distances(torch.stack([line, nowhere])[None], (9, 20), spread=1.0)[0, 0]
    away = (torch.arange(9) + 0.5 - 4.5).abs().double()
    torch.testing.assert_close(found[:, 5:15], away[:, None].expand(9, 10), atol=0.02, rtol=0)
    assert (found[:, 0] > away + 0.3).all(), "it ends"


def test_what_is_far_from_all_curves_is_far_and_finite() -> None:
    for spread in (0.9, 7.5):
        found = distances(torch.zeros(1, 4, 33, 2), (300, 300), spread)
        assert (found > 8 * spread).all()
        assert found.isfinite().all()


@pytest.mark.parametrize("curve_fraction", [0.0, 1.0])
def test_textures_can_be_of_one_kind_alone(curve_fraction: float) -> None:
    assert textures(5, (1, 8, 8), draws(), torch.float32, curve_fraction=curve_fraction).shape == (5, 1, 8, 8)


@pytest.mark.parametrize("shape", [(1, 1, 9), (3, 1), (2, 1, 1)])
def test_textures_of_a_single_position_are_finite(shape: tuple[int, ...]) -> None:
    assert textures(10, shape, draws(), torch.float32, curve_fraction=0.6).isfinite().all()
