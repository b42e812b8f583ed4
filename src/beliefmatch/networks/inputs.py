"""The shape and normalisation of network inputs, and their conversion from and to pixels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from beliefmatch.checks import check_numbers
from beliefmatch.errors import SettingsError
from beliefmatch.runs.schema.export import NormalisationFrom
from beliefmatch.setting_names import Setting

MAX_CONSTANT = 2.0
"""Largest mean or std of pixels in [0, 1]: any above belongs to pixels in [0, 255]."""
MIN_STD = 1e-30
"""Smallest std: what is divided by less is not finite in 32 bits."""
MAX_NUMBERS = 10**8
"""Numbers that one input may have: an image of three channels may be 5,700 pixels wide and high."""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Shape of one input, and for images the normalisation that a network was trained with.

    Everything else in the library handles network inputs, already normalised and unbounded; this class alone
    converts between them and pixels.

    Example:
        >>> import torch
        >>> from beliefmatch import InputSpec
        >>> spec = InputSpec(shape=(1, 8, 8), mean=(0.5,), std=(0.25,))
        >>> white = torch.full((2, 8, 8, 1), 255, dtype=torch.uint8)
        >>> inputs = spec.from_pixels(white)
        >>> inputs.shape, inputs.max().item()
        (torch.Size([2, 1, 8, 8]), 2.0)
        >>> spec.to_pixels(inputs).max().item()
        1.0
    """

    shape: tuple[int, ...]
    """Shape of one example without the batch axis: (channels, height, width), or (features,)."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel, in pixels scaled to [0, 1]; one number serves all channels. None means 0."""
    std: tuple[float, ...] | None = None
    """Standard deviation of each channel, in pixels scaled to [0, 1]; one number serves all. None means 1."""
    normalisation_from: NormalisationFrom | None = field(default=None, compare=False)
    """Source of mean and std, or of their absence: the user, the teacher's checkpoint, or a default. None: not
    recorded, or inputs are no images."""
    shape_from: NormalisationFrom | None = field(default=None, compare=False)
    """Source of the shape: the user, or the teacher's own name or file. None: not recorded."""

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise SettingsError(f"an input shape needs positive sizes, such as 3 32 32; got {self.shape}")
        if math.prod(self.shape) > MAX_NUMBERS:
            raise SettingsError(
                f"an input of shape {self.shape} has more than {MAX_NUMBERS:,} numbers, which is the most that one may "
                "have"
            )
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) == 1:
                object.__setattr__(self, name, values * self.shape[0])
            elif values is not None and len(values) != self.shape[0]:
                raise SettingsError(
                    f"{Setting(name)} needs one value for each of the {self.shape[0]} channels of inputs {self.shape}; "
                    f"got {len(values)}"
                )
        check_numbers(self)
        if self.std is not None and min(self.std) < MIN_STD:
            raise SettingsError(f"{Setting('std')} must be above 0, and at least {MIN_STD:g}; got {self.std}")
        if self.is_made_of_pixels:
            self._check_scale()

    @property
    def is_image(self) -> bool:
        """Whether one input is (channels, height, width) with 1 or 3 channels, so that it has a picture."""
        return len(self.shape) == 3 and self.shape[0] in (1, 3)

    @property
    def is_made_of_pixels(self) -> bool:
        """Whether one input is (channels, height, width) with any number of channels."""
        return len(self.shape) == 3

    @property
    def is_normalisation_known(self) -> bool:
        """Whether user or checkpoint gave the normalisation; inputs that are no images need none."""
        return not self.is_made_of_pixels or self.normalisation_from in ("user", "checkpoint")

    def describe_normalisation(self) -> str:
        """Return mean and standard deviation in words."""
        if self.mean is None and self.std is None:
            return "none, pixels in [0, 1] as they are"
        mean, std = (" ".join(map(str, values or (default,))) for values, default in ((self.mean, 0), (self.std, 1)))
        return f"mean {mean}, std {std}"

    def to_pixels(self, inputs: Tensor) -> Tensor:
        """Convert network inputs to pixels: undo the normalisation and clamp.

        Args:
            inputs: (batch, *shape), network inputs.

        Returns:
            (batch, *shape), in [0, 1].
        """
        mean, std = self._channel_constants(inputs)
        return (inputs * std + mean).clamp(0, 1)

    def from_pixels(self, pixels: Tensor) -> Tensor:
        """Convert stored images to network inputs, resized bilinearly where their size differs.

        Args:
            pixels: (batch, height, width, channels), uint8.

        Returns:
            (batch, *shape), float32.
        """
        images = pixels.permute(0, 3, 1, 2).float() / 255
        if images.shape[2:] != self.shape[1:]:
            images = interpolate(images, size=self.shape[1:], mode="bilinear", align_corners=False)
        mean, std = self._channel_constants(images)
        return (images - mean) / std

    def _check_scale(self) -> None:
        """Check that mean and std are of pixels in [0, 1], not in [0, 255]."""
        given = {name: values for name in ("mean", "std") if (values := getattr(self, name)) is not None}
        if max((max(values) for values in given.values()), default=0.0) <= MAX_CONSTANT:
            return
        typed = " and ".join(f"{Setting(name, _rounded(values))}" for name, values in given.items())
        scaled = " ".join(
            f"{Setting(name, _rounded(value / 255 for value in values))}" for name, values in given.items()
        )
        raise SettingsError(f"{typed} are on a scale of 0 to 255, but pixels are scaled to [0, 1] here; give {scaled}")

    def _channel_constants(self, like: Tensor) -> tuple[Tensor, Tensor]:
        channels, *positions = self.shape
        view = (channels, *(1 for _ in positions))
        mean = torch.tensor(self.mean or (0.0,) * channels, dtype=like.dtype, device=like.device)
        std = torch.tensor(self.std or (1.0,) * channels, dtype=like.dtype, device=like.device)
        return mean.view(view), std.view(view)


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
