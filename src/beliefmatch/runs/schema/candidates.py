"""candidates.json: the students that were measured for a target, and what became of those that were trained."""

from dataclasses import dataclass

from beliefmatch.runs.schema.ranges import check_ranges


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a smaller network has to meet; all that is not None."""

    speedup: float | None = None
    """Times as fast as the network itself at least, for one example, as measured. Above 1."""
    size: float | None = None
    """Part of the network's bytes at most, above 0, below 1."""
    macs: float | None = None
    """Part of the network's multiply-accumulates at most, above 0, below 1."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A smaller network that might do."""

    student: str | None
    """Name of the student, such as thin:0.5. None: the network itself, which needs no training."""
    in_8_bits: bool
    """Whether it is quantised to 8 bits."""
    macs: int
    """Multiply-accumulates for one example."""
    parameters: int
    """Number of parameters."""
    bytes: int
    """Bytes of its ONNX file, or of its parameters and buffers where no such file could be written."""
    latency: float
    """Seconds for one example on the CPU: the least of several medians of repeats in which all took turns."""
    meets: bool
    """Whether it meets the target."""
    folder: str | None = None
    """Folder of its run within this one, or its file; None: it was not trained."""
    agreement: float | None = None
    """Fraction of inputs made without data to which it gives the network's class, after the training. None: it was not
    trained."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("agreement",), counts=("macs", "parameters", "bytes", "latency"))


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All that was measured on one machine for one target."""

    teacher: str
    """Name of the network."""
    teacher_sha256: str
    """SHA-256 over names and bytes of its parameters and buffers, hexadecimal."""
    target: Target
    """What a candidate has to meet."""
    runtime: str
    """What latencies were measured in: onnxruntime or torch."""
    threads: int
    """Threads that latencies were measured with."""
    candidates: tuple[Candidate, ...]
    """The network itself first."""
    order: tuple[int, ...]
    """Positions of candidates that meet the target, the one that is trained first at the beginning."""
    chosen: int | None = None
    """Position of the candidate that agrees best of those that were trained. None: none was yet."""

    def __post_init__(self) -> None:
        if any(not 0 <= each < len(self.candidates) for each in (*self.order, self.chosen or 0)):
            raise ValueError("a position is not that of a candidate")
