"""Generators: noise in, network inputs out. Their outputs are unbounded and live in the network's normalised space."""

from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.models.inputs import InputSpec


class ImageGenerator(nn.Module):
    """The generator of Micaelli & Storkey 2019 (1,051,145 parameters for 3x32x32), for any image size.

    A linear layer makes 128 channels at a quarter of the size; two nearest-neighbour upsamplings and three
    convolutions follow, each with batch-norm. There is no tanh: the last batch-norm sets the range.
    """

    def __init__(self, noise_size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        half, quarter = (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))
        self.layers = nn.Sequential(
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

    def forward(self, noise: Tensor) -> Tensor:
        """Map (batch, noise size) to (batch, channels, height, width)."""
        return self.layers(noise)


class VectorGenerator(nn.Module):
    """Two hidden layers of 256 units, for inputs that are one vector of features. It has no batch-norm."""

    def __init__(self, noise_size: int, num_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(noise_size, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, num_features),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map (batch, noise size) to (batch, features)."""
        return self.layers(noise)


def make_generator(noise_size: int, spec: InputSpec) -> nn.Module:
    """Choose the generator that fits the input shape.

    Raises:
        NetworkError: inputs are neither images nor vectors.
    """
    match spec.shape:
        case (num_features,):
            return VectorGenerator(noise_size, num_features)
        case (channels, height, width):
            return ImageGenerator(noise_size, (channels, height, width))
        case _:
            raise NetworkError(
                f"no generator fits inputs of shape {spec.shape}: expected (channels, height, width) or (features,)"
            )
