"""What a quantised file is, and what was found when it was checked: NAME.json beside the file."""

from dataclasses import dataclass

from beliefmatch.runs.schema.export import FileCheck
from beliefmatch.runs.schema.ranges import check_ranges


@dataclass(frozen=True, kw_only=True)
class QuantizationCandidate:
    """One way to calibrate that was tried, and how near it came to the network in 32 bits without data."""

    calibration: str
    """Inputs that it was calibrated on."""
    ranges: str
    """How activations got their ranges."""
    bias_correction: bool
    """Whether biases take back what rounding the weights shifts."""
    agreement: float
    """Fraction of held-out pseudo inputs that get the same class."""
    divergence: float
    """Mean KL divergence from the network in 32 bits on held-out pseudo inputs, nats."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("agreement",))


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """What one layer costs in 8 bits."""

    node: str
    """Name of the node in the graph."""
    divergence_saved: float
    """Mean KL divergence on held-out pseudo inputs that is saved if this node alone stays in 32 bits, nats."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """A file in 8 bits."""

    calibration: str
    """Inputs that it was calibrated on: noise, procedural, refined, or weighted."""
    ranges: str
    """How activations got their ranges: minmax, entropy, percentile, or learnt."""
    bias_correction: bool
    """Whether biases take back what rounding the weights shifts: where that came nearer."""
    reduce_range: bool
    """Weights have 7 bits, for CPUs without VNNI."""
    keep_float: list[str]
    """Nodes that stayed in 32 bits."""
    num_nodes: int
    """Nodes with weights in the graph."""
    candidates: list[QuantizationCandidate]
    """All that was tried."""
    costs: list[LayerCost]
    """Of each node, the largest first. Empty: not measured."""
    pseudo: FileCheck
    """Check on held-out pseudo inputs, in a fresh process; the student there is the network in 32 bits."""
    images: FileCheck | None
    """Check on real examples, likewise. None: none were given."""
    min_agreement: float
    """Agreement on the pseudo inputs that was asked for."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    bytes: int
    """Bytes of the file."""
    float_bytes: int
    """Bytes of the ONNX file of the network in 32 bits."""
    latency: float
    """Seconds for one example in onnxruntime on the CPU, median of repeats that take turns with those in 32 bits."""
    float_latency: float
    """Seconds in 32 bits, likewise."""
    threads: int
    """Threads that both were timed with."""
    versions: dict[str, str]
    """Version by package, of what wrote the file."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            fractions=("min_agreement",),
            counts=("num_nodes", "bytes", "float_bytes", "latency", "float_latency", "threads"),
        )
