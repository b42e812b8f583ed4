"""The paper's generator with nothing folded: the slow reference."""

from torch import nn


def plain_generator(noise_size: int, shape: tuple[int, int, int]) -> nn.Sequential:
    """Upsample, then convolve, as the released code has it; weights are named as those of `ImageGenerator.layers`."""
    channels, height, width = shape
    half, quarter = (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))
    return nn.Sequential(
        nn.Linear(noise_size, 128 * quarter[0] * quarter[1]),
        nn.Unflatten(1, (128, *quarter)),
        nn.BatchNorm2d(128),
        nn.Upsample(size=half),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Upsample(size=(height, width)),
        nn.Conv2d(128, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
    )
