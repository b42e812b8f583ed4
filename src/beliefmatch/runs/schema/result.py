"""result.json and collapses.json: what came out of a run."""

from dataclasses import dataclass
from typing import Literal

from beliefmatch.runs.schema.export import Export
from beliefmatch.runs.schema.ranges import check_ranges

Kind = Literal["diverged", "constant_source", "one_class", "constant_student", "pinned", "learns_nothing"]
"""diverged: a loss or gradient is not finite. constant_source: all inputs are alike. one_class: the student gives one
class to each batch, to which the teacher gives several. constant_student: it predicts the same labels for all of each
batch, or the same numbers, where the teacher does not. pinned: a confidence stays at its bound while the networks
agree no more often than by chance. learns_nothing: the student's parameters stay as they are, likewise."""
Action = Literal["continue", "stop", "restart"]
"""What was done about a collapse."""


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A collapse of a run: what `runs.collapse_detection` found and what was done."""

    kind: Kind
    """diverged: a loss or gradient is not finite. constant_source: all inputs are alike. one_class: the student gives
    one class to each batch. constant_student: it gives all of a batch the same labels or numbers. pinned: a confidence
    stays at its bound. learns_nothing: the student's parameters stay as they are."""
    round: int
    """Round in which it was named."""
    since: int
    """First round that looked so."""
    seen: str
    """What was seen, in words."""
    action: Action
    """continue: the run went on. stop: it ended there. restart: it began again with another seed."""
    attempt: int
    """0 for the first beginning of the run, one more after each restart."""
    seed: int
    """Seed of that attempt."""
    seconds: float
    """Training time by then in seconds, over all attempts."""

    def __post_init__(self) -> None:
        check_ranges(self, counts=("round", "since", "attempt", "seed", "seconds"))


@dataclass(frozen=True, kw_only=True)
class Collapses:
    """All collapses of a run; the file is missing where there are none."""

    collapses: tuple[Collapse, ...]
    """In the order in which they were named."""


COUNTS = (
    *("student_parameters", "teacher_parameters", "rounds", "seconds", "student_macs", "teacher_macs"),
    *("student_bytes", "teacher_bytes", "student_latency", "teacher_latency", "peak_memory"),
    *("student_passes", "teacher_passes", "rounds_fraction"),
)
"""Fields of a result that hold a number of 0 and above."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out of a run. Fractions are in [0, 1]."""

    student_accuracy: float | None
    """Fraction of examples whose label the student finds most likely; of a multi-label network, of labels that are
    right. None: not measured, or outputs are numbers."""
    teacher_accuracy: float | None
    """Fraction of examples whose label the teacher finds most likely, likewise."""
    agreement: float | None
    """Fraction of examples to which both networks give the same class, or of labels that both predict alike. None: not
    measured, or outputs are numbers."""
    student_parameters: int
    """Number of the student's parameters."""
    teacher_parameters: int
    """Number of the teacher's parameters."""
    rounds: int
    """Rounds completed."""
    seconds: float
    """Training time in seconds, over all resumptions."""
    student_sha256: str
    """SHA-256 of student.safetensors, hexadecimal, as in student.json."""
    rounds_fraction: float | None = None
    """Rounds as a fraction of those that the recipe does by default. None: it has no default."""
    student_macs: int | None = None
    """Multiply-accumulates of the student for one example. None: not counted."""
    teacher_macs: int | None = None
    """Multiply-accumulates of the teacher for one example. None: not counted."""
    student_bytes: int | None = None
    """Bytes of the student's parameters and buffers in 32 bits; where few bits are simulated, what these would take."""
    teacher_bytes: int | None = None
    """Bytes of the teacher's parameters and buffers in 32 bits, whatever types its weights were stored in."""
    student_latency: float | None = None
    """Seconds of the student for one example on the run's device, median."""
    teacher_latency: float | None = None
    """Seconds of the teacher for one example on the run's device, median."""
    peak_memory: int | None = None
    """Bytes of memory at most since the last resumption: of the device where it counts them, otherwise of the process.
    None: they are not counted."""
    student_passes: int | None = None
    """Examples that passed the student forwards while training, over all processes."""
    teacher_passes: int | None = None
    """Examples that passed the teacher forwards while training, over all processes."""
    exports: dict[str, Export] | None = None
    """Exported files of the student, by their paths; those in the run folder by their names. None: there are none."""
    collapses: tuple[Collapse, ...] = ()
    """What collapses.json holds."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("student_accuracy", "teacher_accuracy", "agreement"), counts=COUNTS)
