"""Where everything of a run lies, and reading it without torch, so that a report can be built anywhere."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beliefmatch.errors import FolderError
from beliefmatch.runs.exports import Export, make_export

TEACHER_FILE = "teacher.safetensors"
"""Name of the teacher's weights in the folders of the demo and the toy, which train one."""
PLANE_HALF_SIDE = 3.0
"""Of the square around the origin that pictures of two-dimensional inputs show."""

Row = dict[str, Any]
"""A line of metrics.jsonl: the round, seconds, means over the round, and frequencies of each class."""


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A collapse of a run: what `runs.collapse_detection` found and what was done."""

    kind: str
    """One of `runs.collapse_detection.Kind`."""
    round: int
    """In which it was named."""
    since: int
    """First round that looked so."""
    seen: str
    """What was seen, in words."""
    action: str
    """continue, stop or restart."""
    attempt: int
    """0 for the first beginning of the run, one more after each restart."""
    seed: int
    """Of that attempt."""
    seconds: float
    """Training time by then, over all attempts."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out of a run. Fractions are in [0, 1]; None means not measured: no data was given."""

    student_accuracy: float | None
    teacher_accuracy: float | None
    agreement: float | None
    student_parameters: int
    teacher_parameters: int
    rounds: int
    seconds: float
    """Training time, over all resumptions."""
    budget: float | None = None
    """Rounds as a fraction of those that the recipe usually does, the paper's where it prints them."""
    student_macs: int | None = None
    """Multiply-accumulates for one example."""
    teacher_macs: int | None = None
    student_bytes: int | None = None
    """Bytes of parameters and buffers."""
    teacher_bytes: int | None = None
    student_latency: float | None = None
    """Seconds for one example on the run's device, median."""
    teacher_latency: float | None = None
    peak_memory: int | None = None
    """Bytes: of the device where it counts them, otherwise of the whole process; since the last resumption."""
    student_passes: int | None = None
    """Examples that passed the student forwards while training, over all processes."""
    teacher_passes: int | None = None
    exports: dict[str, Export] | None = None
    """Exported files of the student, by their paths; those in the run folder by their names. None: there are none."""
    collapses: tuple[Collapse, ...] = ()
    """What collapses.json tells."""


class RunFiles:
    """Names of the files of one run, and what they hold as plain values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run.json"
        self.metrics = path / "metrics.jsonl"
        self.result = path / "result.json"
        self.measurement = path / "measurement.json"
        self.collapses = path / "collapses.json"
        self.source = path / "source.json"
        self.student = path / "student.safetensors"
        self.student_facts = path / "student.json"
        self.checkpoint = path / "checkpoint.pt"
        self.curves = path / "curves.png"
        self.report = path / "report.html"
        self.pseudo = path / "pseudo"

    @property
    def holds_run(self) -> bool:
        """Whether a run began here."""
        return self.run.is_file()

    def read(self) -> dict[str, Any]:
        """Read run.json.

        Raises:
            FolderError: there is no run here, or its run.json is damaged.
        """
        if not self.holds_run:
            raise FolderError(f"{self.path} holds no run (no run.json)")
        facts = read_json(self.run)
        if not isinstance(facts.get("settings"), dict) or "transfer" not in facts["settings"]:
            raise FolderError(f"{self.run} is damaged: it holds no settings")
        return facts

    def read_metrics(self) -> list[Row]:
        """Read the lines of metrics.jsonl; one that was cut short by a kill is left out."""
        rows = []
        for line in self.metrics.read_text(errors="replace").splitlines() if self.metrics.is_file() else []:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not isinstance(row, dict) or "round" not in row:
                break
            rows.append(row)
        return rows

    def read_result(self) -> Result:
        """Read result.json.

        Raises:
            FolderError: the run has not finished, or the file is damaged.
        """
        if not self.result.is_file():
            raise FolderError(f"the run in {self.path} has not finished: continue it with --resume")
        try:
            values = read_json(self.result)
            exports = values.pop("exports", None)
            made = None if exports is None else {name: make_export(**export) for name, export in exports.items()}
            collapses = tuple(Collapse(**each) for each in values.pop("collapses", ()))
            return Result(**values, exports=made, collapses=collapses)
        except (TypeError, AttributeError) as error:
            raise FolderError(f"{self.result} is damaged: {error}") from error

    def read_collapses(self) -> list[Collapse]:
        """Read collapses.json; empty where the run did not collapse.

        Raises:
            FolderError: the file is damaged.
        """
        try:
            found = read_json(self.collapses)["collapses"] if self.collapses.is_file() else []
            return [Collapse(**each) for each in found]
        except (KeyError, TypeError) as error:
            raise FolderError(f"{self.collapses} is damaged: {error!r}") from error

    def read_measurement(self) -> dict[str, Any] | None:
        """Read measurement.json; None where nothing was measured.

        Raises:
            FolderError: the file is damaged.
        """
        return read_json(self.measurement) if self.measurement.is_file() else None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        FolderError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise FolderError(f"{path} is damaged: expected an object with names")
    return content
