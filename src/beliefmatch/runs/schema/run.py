"""run.json, student.json and source.json: what a run computes, and what is needed to read what it left."""

from dataclasses import dataclass
from typing import Any, Literal

from beliefmatch.runs.schema.plan import PruningPlan
from beliefmatch.runs.schema.quantization_plan import QuantizationPlan
from beliefmatch.runs.schema.task import TaskName

Json = Any
"""A JSON value of which the reader knows the type: `runs.serialisation` makes settings of it again."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """All that must be equal for a run to continue."""

    transfer: dict[str, Json]
    """Settings of the transfer; each object in it names its class under type."""
    teacher_sha256: str
    """SHA-256 over names and bytes of the teacher's parameters and buffers, hexadecimal."""
    num_processes: int
    """Number of processes, one a device."""
    device: str
    """Kind of device: cpu, cuda or mps."""
    precision: Literal["32-true", "64-true", "bf16-mixed"]
    """Floating-point precision."""


@dataclass(frozen=True, kw_only=True)
class RunMetadata:
    """What a run is. It is written before the first round."""

    settings: RunSettings
    """All that must be equal for the run to continue."""
    seed: int
    """Seed of the run, as in its settings."""
    command: tuple[str, ...]
    """Words of the command that began the run."""
    versions: dict[str, str]
    """Version by package, and of Python and the platform, when the run began."""
    defaults: tuple[str, ...] = ()
    """Names of the settings in `settings.transfer` that have the default of their class, such as source.padding."""


@dataclass(frozen=True, kw_only=True)
class StudentMetadata:
    """What is needed to load the student, besides its weights."""

    architecture: str
    """Name of the architecture, as `NamedStudent` takes it; the teacher's, where the student is made of it."""
    plan: PruningPlan | None
    """How the student was made from its teacher's architecture. None: it lost no part of it."""
    quantization: QuantizationPlan | None
    """Which of its layers compute with few bits, in simulation. None: none."""
    num_classes: int
    """Number of the student's own outputs; a single one of a classifier stands for two classes."""
    task: TaskName
    """What its outputs predict."""
    outputs: Literal["logits", "probabilities", "sigmoid"] | None
    """Form of the student's own outputs, as `Network.outputs` has it. None: a tensor of logits alone."""
    output: str | None
    """Which of several outputs of the student holds them, as `Network.output` has it. None: there is no choice."""
    inputs: dict[str, Json]
    """The `InputSpec` of both networks: shape and normalisation."""
    weights: str
    """Name of the file of weights, in the same folder."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    made_sha256: str
    """SHA-256 of how the student is made of its architecture and used, `made_checksum`, hexadecimal."""
    how_to_load: str
    """A line of Python."""

    @property
    def is_made_of_teacher(self) -> bool:
        """Whether the architecture is the teacher's, and a plan makes the student of it."""
        return self.plan is not None or self.quantization is not None

    @property
    def num_logits(self) -> int:
        """Number of classes, labels or numbers: of a classifier at least two, where a single output stands for two."""
        return max(2, self.num_classes) if self.task == "single_label" else self.num_classes


@dataclass(frozen=True, kw_only=True)
class SourceMetadata:
    """Which real examples a source chose; the file is missing for sources that need none."""

    images: str
    """Path of the file of examples."""
    num_images: int | None = None
    """Number of examples that are used. None: it is that of `indices`."""
    indices: tuple[int, ...] | None = None
    """Positions in the file of the examples that are used, from 0. None: all are used."""
