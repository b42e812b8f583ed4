"""Teachers of families that the package does not name: what a user's own architecture file holds.

No student shares the names of their layers, so each begins fresh.
"""

from torch import Tensor, nn


def stage(in_channels: int, channels: int, *, batch_norm: bool, activation: type[nn.Module]) -> list[nn.Module]:
    """Return the layers of a convolution of 3x3 that halves the size with pooling behind it."""
    norm = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
    return [nn.Conv2d(in_channels, channels, 3, padding=1), norm, activation(), nn.MaxPool2d(2)]


class SmallCNN(nn.Module):
    """Two or three stages and two linear layers, for images (batch, 1, size, size)."""

    def __init__(
        self, size: int, widths: tuple[int, ...], num_classes: int, *, batch_norm: bool, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for in_channels, channels in zip((1, *widths), widths, strict=False):
            layers += stage(in_channels, channels, batch_norm=batch_norm, activation=activation)
        side = size // 2 ** len(widths)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * side * side, 128), activation(), nn.Linear(128, num_classes)
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.classifier(self.features(batch))


def make_cnn_16() -> nn.Module:
    """Build a network with batch-norm for images of 16 x 16."""
    return SmallCNN(16, (32, 64), 10, batch_norm=True, activation=nn.ReLU)


def make_cnn_28() -> nn.Module:
    """Build a network without batch-norm for images of 28 x 28."""
    return SmallCNN(28, (32, 64), 10, batch_norm=False, activation=nn.ReLU)


def make_tanh_cnn_3() -> nn.Module:
    """Build a network of tanh without batch-norm for images of 28 x 28 of three classes."""
    return SmallCNN(28, (16, 32), 3, batch_norm=False, activation=nn.Tanh)
