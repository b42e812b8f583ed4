"""What result.json keeps of the exported files of a run; without torch, so that a report can read it."""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What one of the two networks costs where it is deployed. None means not measured."""

    bytes: int | None
    """Of its file in the format of the export."""
    macs: int | None
    """Multiply-accumulates for one example."""
    torch_latency: float | None
    """Seconds for one example in torch on the CPU, median of repeats that take turns with the others of this export."""
    onnxruntime_latency: float | None
    """Likewise in onnxruntime; measured for ONNX files alone."""


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """How an exported file answers, set beside the student in torch. Fractions are in [0, 1]."""

    name: str
    """Of the inputs."""
    num_examples: int
    largest_logit: float
    """Largest absolute logit of the student."""
    max_logit_difference: float
    """Largest absolute difference of a logit of the file from the student's."""
    agreement: float
    """Fraction of inputs to which the file gives the student's class, or one that the student finds as likely but for
    rounding."""
    accuracy: float | None = None
    """Fraction of inputs to which the file gives their label. None: there are no labels."""
    student_accuracy: float | None = None
    """The same of the student."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """An exported file of a student: what it is, and what was found when it was checked."""

    format: str
    pixels: str | None
    """uint8 or unit, where the file normalises pixels of [0, 255] or [0, 1] itself. None: it takes network inputs."""
    sha256: str
    """Of the file."""
    pseudo: FileCheck
    """On fresh pseudo inputs."""
    num_noise: int
    """So many of them are no pseudo inputs but normal noise."""
    why_noise: str | None
    images: FileCheck | None
    """On real examples, images or others. None: none were given."""
    student: Deployed
    teacher: Deployed
    why_no_teacher: str | None
    """Why numbers of the teacher are missing."""
    threads: int
    """That torch and onnxruntime were timed with."""
    versions: dict[str, str]
    teacher_license: str | None = None
    """As the user gave it."""
    mean: list[float] | None = None
    """Of each channel, in pixels scaled to [0, 1]: how the file, or who feeds it, makes inputs of pixels. None: 0."""
    std: list[float] | None = None
    """Likewise. None: 1."""
    normalisation_from: Literal["user", "checkpoint", "default"] | None = None
    """Who knows mean and std. None: nobody recorded it, or inputs are no images."""


def make_export(
    *,
    pseudo: dict[str, Any],
    images: dict[str, Any] | None,
    student: dict[str, Any],
    teacher: dict[str, Any],
    **values: Any,
) -> Export:
    """Make an export again of what `asdict` made of one.

    Raises:
        TypeError: a field is missing or unknown, or of another type.
    """
    return Export(
        pseudo=_make(FileCheck, pseudo),
        images=None if images is None else _make(FileCheck, images),
        student=_make(Deployed, student),
        teacher=_make(Deployed, teacher),
        **values,
    )


Made = TypeVar("Made", FileCheck, Deployed)


def _make(kind: type[Made], values: dict[str, Any]) -> Made:
    for field in fields(kind):
        value = values.get(field.name)
        if not isinstance(value, field.type) and not (isinstance(value, int) and isinstance(0.0, field.type)):  # pyright: ignore[reportArgumentType]
            raise TypeError(f"{field.name} is {value!r}, expected {field.type}")
    return kind(**values)
