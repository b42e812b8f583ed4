"""Examples that networks are measured on, as a user stored them, and their conversion to network inputs.

This is the one place that knows images from other inputs; all that measures or compares asks `AbstractExamples`.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from beliefmatch.errors import ExamplesError
from beliefmatch.networks.dtypes import dtype_name
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.labels import check_classes, check_labels, read_labels
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.setting_names import Setting, where_known

ALL = slice(None)


@dataclass(frozen=True, kw_only=True)
class AbstractExamples(ABC):
    """Examples as stored, with or without labels.

    Raises:
        ExamplesError: labels are not as above, or not one for each example; or see the kinds of examples.
    """

    labels: Tensor | None = None
    """(n,), int64 classes from 0, of other integers too; or (n, labels), int64, 1 where a label is true and else 0; or
    (n,) or (n, outputs), float32 numbers. None where there are none."""
    name: str = ""
    """Their name in tables and messages, such as that of their file."""

    def __post_init__(self) -> None:
        self._check_stored()
        if self.labels is not None:
            object.__setattr__(self, "labels", read_labels(self.labels, len(self)))

    def __len__(self) -> int:
        return len(self.stored)

    @property
    @abstractmethod
    def stored(self) -> Tensor:
        """Return all examples, (n, *shape of one), channels first."""

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over what is stored and its labels, whatever the name."""
        digest = hashlib.sha256(self.stored.contiguous().numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.contiguous().numpy().tobytes())
        return digest.hexdigest()

    @abstractmethod
    def _check_stored(self) -> None:
        """Check type, shape and values."""

    @abstractmethod
    def check_shape(self, spec: InputSpec, *, resize: bool = False) -> None:
        """Check that inputs of a network can be made of these.

        Args:
            spec: of the network's inputs.
            resize: whether images of another size are allowed, which are then resized bilinearly.

        Raises:
            ExamplesError: the shape does not fit.
        """

    @staticmethod
    @abstractmethod
    def convert(stored: Tensor, spec: InputSpec) -> Tensor:
        """Convert examples from `stored` to network inputs, (batch, *spec.shape), float32."""

    @abstractmethod
    def to_pixels(self, spec: InputSpec, rows: slice | Tensor = ALL) -> Tensor:
        """Return some as (batch, height, width, channels) pixels, uint8, for a file that takes those."""

    def to_inputs(self, spec: InputSpec, rows: slice | Tensor = ALL, *, device: torch.device | None = None) -> Tensor:
        """Return some as network inputs, (batch, *spec.shape), float32, converted on a device.

        Raises:
            ExamplesError: the shape does not fit, not even resized.
        """
        self.check_shape(spec, resize=True)
        return self.convert(self.stored[rows].to(device), spec)

    def check_fit(
        self, spec: InputSpec, num_classes: int, *, resize: bool = False, task: TaskName = "single_label"
    ) -> None:
        """Check that a network of these inputs and classes can be measured on these.

        Args:
            spec: of the network's inputs.
            num_classes: number of classes of the network, or of its labels or numbers.
            resize: see `check_shape`.
            task: what the network predicts.

        Raises:
            ExamplesError: the shape does not fit, or labels are not what the network can give.
        """
        self.check_shape(spec, resize=resize)
        if self.labels is not None:
            check_labels(self.labels, num_classes, task)

    def needed_labels(self) -> Tensor:
        """Return the labels, one class for each example.

        Raises:
            ExamplesError: there are none, or they are no classes.
        """
        if self.labels is None:
            raise ExamplesError(
                f"{self.name or 'what was given'} has no array 'labels', and labels are needed: add one, (n,) integers"
            )
        check_classes(self.labels)
        return self.labels


@dataclass(frozen=True, kw_only=True)
class Images(AbstractExamples):
    """Images as stored; they are scaled, normalised and, where a caller allows it, resized to be network inputs.

    Raises:
        ExamplesError: a dtype or a shape is not as below, there are no images, or labels do not serve.
    """

    images: Tensor
    """(n, height, width, channels), uint8."""

    @property
    def stored(self) -> Tensor:
        """Return all images, (n, channels, height, width), uint8."""
        return self.images.permute(0, 3, 1, 2)

    def _check_stored(self) -> None:
        if self.images.dtype != torch.uint8:
            raise ExamplesError(
                f"images have dtype {dtype_name(self.images)}, expected uint8 pixels from 0 to 255; numbers that are "
                "network inputs already go into an array inputs"
            )
        if self.images.dim() != 4:
            raise ExamplesError(
                f"images have shape {tuple(self.images.shape)}, expected (n, height, width, channels); vectors and "
                "signals are no images: give them as floats, in an array inputs"
            )
        if self.images.numel() == 0:
            raise ExamplesError("there are no images, or images without pixels")

    def check_shape(self, spec: InputSpec, *, resize: bool = False) -> None:
        """Check channels, and height and width unless they may differ."""
        if len(spec.shape) != 3:
            raise ExamplesError(
                f"the network takes inputs of shape {spec.shape}, which images cannot give: store an array inputs "
                f"{_shape_of_all(spec.shape)} of numbers instead, normalised as the network takes them"
            )
        _, *size, channels = self.images.shape
        if channels != spec.shape[0]:
            raise ExamplesError(f"images have {channels} channels, the network takes {spec.shape[0]}")
        if tuple(size) != spec.shape[1:] and not resize:
            resized = where_known("add {} if they are meant to be resized", Setting("resize", value=True))
            way_out = resized or "resize them first, if they are meant to be"
            raise ExamplesError(
                f"images are {size[0]}x{size[1]}, the network takes {spec.shape[1]}x{spec.shape[2]}: {way_out}"
            )

    @staticmethod
    def convert(stored: Tensor, spec: InputSpec) -> Tensor:
        """Return images scaled, resized and normalised."""
        return spec.from_pixels(stored.permute(0, 2, 3, 1))

    def to_pixels(self, spec: InputSpec, rows: slice | Tensor = ALL) -> Tensor:
        """Return some as they are stored."""
        return self.images[rows]


@dataclass(frozen=True, kw_only=True)
class LabelledImages(Images):
    """Images as stored, with their labels."""

    labels: Tensor = field()  # pyright: ignore[reportGeneralTypeIssues]
    """(n,), int64, from 0."""


@dataclass(frozen=True, kw_only=True)
class Inputs(AbstractExamples):
    """Network inputs of any shape, normalised by whoever stored them: vectors, signals, or images channels first.

    Raises:
        ExamplesError: a dtype or a shape is not as below, a value is not finite, there are no inputs, or labels do not
            serve.
    """

    inputs: Tensor
    """(n, *shape), float32; other floats, and integers, are converted."""

    def __post_init__(self) -> None:
        if not self.inputs.is_complex() and self.inputs.dtype != torch.bool:
            object.__setattr__(self, "inputs", self.inputs.float())
        super().__post_init__()

    @property
    def stored(self) -> Tensor:
        """Return all inputs, (n, *shape), float32."""
        return self.inputs

    def _check_stored(self) -> None:
        if self.inputs.dtype != torch.float32:
            raise ExamplesError(
                f"inputs have dtype {dtype_name(self.inputs)}, expected floats, or integers that are features"
            )
        if self.inputs.dim() < 2:
            raise ExamplesError(
                f"inputs have shape {tuple(self.inputs.shape)}, expected (n, *shape), such as (n, features) or "
                "(n, channels, length)"
            )
        if self.inputs.numel() == 0:
            raise ExamplesError("there are no inputs, or inputs without values")
        finite = self.inputs.isfinite().flatten(1).all(dim=1)
        if not bool(finite.all()):
            raise ExamplesError(
                f"{int((~finite).sum())} of {len(finite)} inputs have values that are not finite in float32, the first "
                f"in row {int((~finite).nonzero()[0])}: leave these out, or mend them"
            )

    def check_shape(self, spec: InputSpec, *, resize: bool = False) -> None:
        """Check the whole shape; inputs are never resized."""
        if self.inputs.shape[1:] != spec.shape:
            images = " (images channels first; they are not resized)" if len(spec.shape) == 3 else ""
            raise ExamplesError(
                f"inputs have shape {_shape_of_all(tuple(self.inputs.shape[1:]))}, the network takes "
                f"{_shape_of_all(spec.shape)}{images}"
            )

    @staticmethod
    def convert(stored: Tensor, spec: InputSpec) -> Tensor:
        """Return them as they are."""
        assert stored.shape[1:] == spec.shape
        return stored

    def to_pixels(self, spec: InputSpec, rows: slice | Tensor = ALL) -> Tensor:
        """Return some without their normalisation, rounded."""
        return (255 * spec.to_pixels(self.inputs[rows])).round().to(torch.uint8).permute(0, 2, 3, 1)


def examples_of(given: AbstractExamples | Tensor, labels: Tensor | None = None, *, name: str = "") -> AbstractExamples:
    """Return examples as they are, or made of a tensor: uint8 is images, any other type is network inputs.

    Args:
        given: examples; or (n, height, width, channels) uint8, or (n, *shape) of another type.
        labels: (n,), integers, of a tensor; examples bring their own.
        name: what to call them. Default: their own name.

    Raises:
        ExamplesError: a dtype or a shape is not as `Images` and `Inputs` say, or there are labels twice.
    """
    if isinstance(given, AbstractExamples):
        if labels is not None:
            raise ExamplesError("these examples bring their own labels: leave out the others")
        return replace(given, name=name) if name else given
    if given.dtype == torch.uint8:
        return Images(images=given, labels=labels, name=name)
    return Inputs(inputs=given, labels=labels, name=name)


def _shape_of_all(shape: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, shape))})"
