"""Generators: noise in, network inputs out. Their outputs are unbounded and live in the network's normalised space."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.python_file import make_own
from beliefmatch.setting_names import Setting


class UpsampledConv(nn.Conv2d):
    """A 3x3 convolution of its nearest-neighbour upsampled input, with the parameters of a 3x3 convolution.

    Where the size doubles, pixels that are copies of one another meet several of the nine weights at once. Adding these
    weights first leaves a transposed convolution of the small input: four products an output pixel instead of nine,
    and no large input at all.
    """

    def __init__(self, in_channels: int, out_channels: int, *, size: tuple[int, int]) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.size = size

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Map (batch, in channels, height, width) to (batch, out channels, *size)."""
        height, width = input.shape[2:]
        if self.size != (2 * height, 2 * width):
            return conv2d(interpolate(input, size=self.size), self.weight, self.bias, padding=1)
        # Row r of the transposed kernel gathers the weights that a copy reaches at offset r - 1 from its output.
        flipped = self.weight.flip(2, 3)
        tall = pad(flipped, (0, 0, 0, 1)) + pad(flipped, (0, 0, 1, 0))
        kernel = (pad(tall, (0, 1)) + pad(tall, (1, 0))).transpose(0, 1)
        # A transposed convolution does not take channels last from its kernel alone, as a convolution does.
        small, kernel = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (input, kernel))
        return conv_transpose2d(small, kernel, self.bias, stride=2, padding=1)


class ImageGenerator(nn.Module):
    """The generator of Micaelli & Storkey 2019 (1,051,145 parameters for 3x32x32), for any image size.

    A linear layer makes 128 channels at a quarter of the size; two nearest-neighbour upsamplings and three
    convolutions follow, each with batch-norm. There is no tanh: the last batch-norm sets the range.
    """

    def __init__(self, noise_size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        half, quarter = (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))
        # Nothing stands where the released code upsamples, so that weights keep their names.
        self.layers = nn.Sequential(
            nn.Linear(noise_size, 128 * quarter[0] * quarter[1]),
            nn.Unflatten(1, (128, *quarter)),
            nn.BatchNorm2d(128),
            nn.Identity(),
            UpsampledConv(128, 128, size=half),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Identity(),
            UpsampledConv(128, 64, size=(height, width)),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map (batch, noise size) to (batch, channels, height, width)."""
        return self.layers(noise)


class SignalGenerator(nn.Module):
    """The image generator with one position axis, for signals of any number of channels and any length."""

    def __init__(self, noise_size: int, shape: tuple[int, int]) -> None:
        super().__init__()
        channels, length = shape
        half, quarter = -(-length // 2), -(-length // 4)
        self.layers = nn.Sequential(
            nn.Linear(noise_size, 128 * quarter),
            nn.Unflatten(1, (128, quarter)),
            nn.BatchNorm1d(128),
            nn.Upsample(size=half),
            nn.Conv1d(128, 128, 3, padding=1),
            nn.BatchNorm1d(128),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=length),
            nn.Conv1d(128, 64, 3, padding=1),
            nn.BatchNorm1d(64),
            nn.LeakyReLU(0.2),
            nn.Conv1d(64, channels, 3, padding=1),
            nn.BatchNorm1d(channels),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map (batch, noise size) to (batch, channels, length)."""
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


class LinearSets(nn.Module):
    """Linear layers side by side, drawn from N(0, 1) and without bias at first."""

    def __init__(self, num_sets: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_sets, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(num_sets, 1, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of all layers, and set their biases to 0."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Map (examples, in features) to (sets, examples, out features)."""
        return torch.matmul(input, self.weight) + self.bias


class NoisyLayer(nn.Module):
    """Label embeddings through a linear layer that is noise: Tran et al. 2024 (NAYER).

    There is a layer for each set of inputs, and a set holds a class at most once, so that inputs of one class differ.
    Batch-norm over classes comes first.
    """

    def __init__(self, num_classes: int, num_sets: int, noise_size: int, *, embedding_size: int | None = None) -> None:
        """Draw all parameters.

        Args:
            num_classes: number of embeddings.
            num_sets: number of linear layers.
            noise_size: length of the outputs.
            embedding_size: length of embeddings that learn; None for one-hot ones that do not.
        """
        super().__init__()
        if embedding_size is None:
            self.register_buffer("one_hot", torch.eye(num_classes))
        else:
            self.embeddings = nn.Embedding(num_classes, embedding_size)
        self.norm = nn.BatchNorm1d(embedding_size or num_classes)
        self.linear = LinearSets(num_sets, embedding_size or num_classes, noise_size)

    def forward(self, labels: Tensor, sets: Tensor) -> Tensor:
        """Map labels (batch,) and the index of each one's layer (batch,) to (batch, noise size)."""
        table = self.get_buffer("one_hot") if "one_hot" in self._buffers else self.embeddings.weight
        return self.linear(self.norm(table))[sets, labels]


def make_generator(noise_size: int, spec: InputSpec, *, own: str | None = None) -> nn.Module:
    """Build the generator that fits the input shape, or the user's own.

    Args:
        noise_size: length of the noise vector.
        spec: of the inputs to generate.
        own: `file.py:function`, called without arguments; it returns a module that maps (batch, noise size) to
            (batch, *spec.shape). None: ours.

    Raises:
        NetworkError: inputs are neither images, signals nor vectors, or the user's own generator does not fit.
    """
    if own is not None:
        return _make_user_generator(own, noise_size, spec)
    match spec.shape:
        case (num_features,):
            return VectorGenerator(noise_size, num_features)
        case (channels, length):
            return SignalGenerator(noise_size, (channels, length))
        case (channels, height, width):
            return ImageGenerator(noise_size, (channels, height, width))
        case _:
            raise NetworkError(
                f"no generator fits inputs of shape {spec.shape}: expected (channels, height, width), (channels, "
                f"length) or (features,); name your own with {Setting('source.generator', 'my_file.py:make_generator')}"
            )


def _make_user_generator(name: str, noise_size: int, spec: InputSpec) -> nn.Module:
    generator = make_own(name)
    try:
        with torch.no_grad():
            found = generator(torch.randn(2, noise_size))
    except Exception as error:
        # A network of the user's own can fail in any way.
        raise NetworkError(f"{name} does not take noise of shape (2, {noise_size}): {first_line(error)}") from error
    given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if given != (2, *spec.shape):
        raise NetworkError(f"{name} makes {given} of noise (2, {noise_size}), expected {(2, *spec.shape)}")
    return generator
