"""What result.json keeps of each exported file of a student."""

from dataclasses import dataclass
from typing import Literal

from beliefmatch.runs.schema.ranges import check_ranges

NormalisationFrom = Literal["user", "checkpoint", "default"]
"""Who gave a normalisation, or a shape: the user, the teacher's own name or file, or the default, where none did."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What one of the two networks costs where it is deployed. None means not measured."""

    bytes: int | None
    """Bytes of its file in the format of the export."""
    macs: int | None
    """Multiply-accumulates for one example."""
    torch_latency: float | None
    """Seconds for one example in torch on the CPU, median of repeats that take turns with the others of this export."""
    onnxruntime_latency: float | None
    """Seconds for one example in onnxruntime on the CPU, likewise; measured for ONNX files alone."""

    def __post_init__(self) -> None:
        check_ranges(self, counts=("bytes", "macs", "torch_latency", "onnxruntime_latency"))


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """The predictions of an exported file, compared with those of the student in torch. Fractions are in [0, 1]."""

    name: str
    """Name of the inputs."""
    num_examples: int
    """Number of inputs."""
    largest_logit: float
    """Largest absolute logit of the student, or number of a regression."""
    max_logit_difference: float
    """Largest absolute difference of a logit or number of the file from the student's."""
    agreement: float
    """Fraction of inputs to which the file gives the student's class, or one that the student finds as likely but for
    rounding; of labels that it predicts alike, or of numbers that are equal but for rounding."""
    accuracy: float | None = None
    """Fraction of inputs to which the file gives their label, or of labels that it predicts right. None: there are no
    labels, or outputs are numbers."""
    student_accuracy: float | None = None
    """The student's, likewise."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            fractions=("agreement", "accuracy", "student_accuracy"),
            counts=("num_examples", "largest_logit", "max_logit_difference"),
        )


def describe_checks(pseudo: FileCheck, images: FileCheck | None) -> list[tuple[str, FileCheck]]:
    """Return what a file was compared on in words, such as "90 examples of test.npz", each with what was found.

    Args:
        pseudo: check on pseudo inputs, whose name says what they are.
        images: check on real examples, whose name is that of their file. None: none were given.
    """
    real = [] if images is None else [(f"{images.num_examples:,} examples of {images.name}", images)]
    return [(f"{pseudo.num_examples:,} {pseudo.name}", pseudo), *real]


@dataclass(frozen=True, kw_only=True)
class EightBits:
    """How an exported file was quantised to 8 bits, and what the same student is in 32."""

    calibrated_on: str
    """Inputs that it was calibrated on, all made without data: noise, procedural, refined, or weighted."""
    ranges: str
    """How activations got their ranges: minmax, entropy, percentile, or learnt."""
    keep_float: list[str]
    """Nodes that stayed in 32 bits."""
    num_nodes: int
    """Nodes with weights in the graph."""
    float_bytes: int
    """Bytes of the ONNX file of the student in 32 bits."""
    latency: float
    """Seconds for one example in onnxruntime on the CPU, median of repeats that take turns with those in 32 bits."""
    float_latency: float
    """Seconds in 32 bits, likewise."""

    def __post_init__(self) -> None:
        check_ranges(self, counts=("num_nodes", "float_bytes", "latency", "float_latency"))

    @property
    def is_faster(self) -> bool:
        """Whether it was faster than in 32 bits on the machine that wrote it."""
        return self.latency < self.float_latency


@dataclass(frozen=True, kw_only=True)
class Export:
    """An exported file of a student: what it is, and what was found when it was checked."""

    format: str
    """Format of the file: onnx, pt2 or safetensors."""
    pixels: Literal["uint8", "unit"] | None
    """The file normalises pixels itself: uint8 of [0, 255], unit of [0, 1]. None: it takes network inputs."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    pseudo: FileCheck
    """Check on fresh pseudo inputs."""
    num_noise: int
    """Number of those inputs that are normal noise and no pseudo inputs."""
    why_noise: str | None
    """Why some are noise, in words."""
    images: FileCheck | None
    """Check on real examples, images or others. None: none were given."""
    student: Deployed
    """What the student costs."""
    teacher: Deployed
    """What the teacher costs."""
    why_no_teacher: str | None
    """Why numbers of the teacher are missing, in words."""
    threads: int
    """Number of threads that torch and onnxruntime were timed with."""
    versions: dict[str, str]
    """Version by package, of what wrote the file."""
    teacher_license: str | None = None
    """Licence of the teacher, as the user gave it."""
    mean: list[float] | None = None
    """Mean of each channel in pixels scaled to [0, 1], by which inputs are made of pixels. None: 0."""
    std: list[float] | None = None
    """Standard deviation of each channel in pixels scaled to [0, 1], likewise. None: 1."""
    normalisation_from: NormalisationFrom | None = None
    """Who gave mean and std: the user, the teacher's own checkpoint, or the default, where none of them did. None: not
    recorded, or inputs are no images."""
    in_8_bits: EightBits | None = None
    """How it was quantised. None: it is in 32 bits."""

    def __post_init__(self) -> None:
        check_ranges(self, counts=("num_noise", "threads"))
