"""Reading run folders: what a run was, how far it came, what was measured."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from beliefmatch.errors import FolderError
from beliefmatch.report.settings import OWN, Settings, flatten
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.pruning import read_sensitivity
from beliefmatch.runs.reading import parse
from beliefmatch.runs.schema.measurement import MeasurementRecord
from beliefmatch.runs.schema.result import Collapse, Result
from beliefmatch.runs.schema.row import Row
from beliefmatch.runs.schema.run import StudentMetadata
from beliefmatch.runs.schema.sensitivity import Sensitivity
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.runs.student_checksum import check_student

MAX_ROWS = 4_000
"""Rows of a run that a report keeps; no figure shows more points."""
READ_DATA = ("FewShot", "Unlabelled")
"""Names of the sources whose `reads_data` is true; a report loads none of them."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder, read."""

    path: Path
    name: str
    """Tells it from the other runs of the report."""
    settings: Settings
    """All settings but the seed."""
    defaults: frozenset[str]
    """Names of the settings that have the default of their class."""
    seed: int
    num_rounds: int
    command: tuple[str, ...]
    versions: dict[str, str]
    rows: tuple[Row, ...]
    """Logged rounds, in their order."""
    result: Result | None
    """None: the run was cut short."""
    measured: MeasurementRecord | None
    collapses: tuple[Collapse, ...]
    student_metadata: StudentMetadata | None
    sensitivity: Sensitivity | None
    """Of the teacher to lost channels or blocks. None: the student is not made from it, or it was not measured."""
    pictures: tuple[Path, ...]
    """Pictures of pseudo batches, in the order of their rounds."""

    @property
    def last_round(self) -> int:
        """The last round that is known to be completed."""
        if self.result is not None:
            return self.result.rounds
        return int(self.rows[-1]["round"]) if self.rows else 0

    @property
    def seconds(self) -> float:
        """Training time up to the last round that is known."""
        if self.result is not None:
            return self.result.seconds
        return float(self.rows[-1]["seconds"]) if self.rows else 0.0

    @property
    def is_cut_short(self) -> bool:
        """Whether it left no result."""
        return self.result is None

    @property
    def uses_real_images(self) -> bool:
        """Whether its batches are real examples, so that nothing in them is pseudo."""
        return self.settings.get("source") in READ_DATA

    @property
    def task(self) -> TaskName:
        """What the outputs of both networks predict, as its student or its rows show it."""
        if self.student_metadata is not None:
            return self.student_metadata.task
        row = self.rows[-1] if self.rows else {}
        return (
            "regression"
            if "teacher_spread" in row
            else "multi_label"
            if "teacher_label_frequencies" in row
            else "single_label"
        )

    @property
    def is_planar(self) -> bool:
        """Whether its inputs are points of a plane."""
        return self.settings.get("inputs.shape") == "2"


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders; one that is named twice is read once.

    Raises:
        FolderError: there is none, or one holds no run or a damaged one.
    """
    paths: dict[Path, Path] = {}
    for folder in folders:
        paths.setdefault(Path(os.path.realpath(folder)), folder)
    if not paths:
        raise FolderError("a report needs at least one run folder: beliefmatch report RUN [RUN ...]")
    names = [resolved.name for resolved in paths]
    return [
        _read_run(path, name=str(path) if names.count(resolved.name) > 1 else resolved.name)
        for resolved, path in paths.items()
    ]


def _read_run(path: Path, *, name: str) -> Run:
    folder = RunFolder(path)
    if not folder.holds_run:
        raise FolderError(
            f"{path} holds no run (no {folder.run.name}): name the folder of a beliefmatch transfer or demo"
        )
    if folder.student.exists() and folder.student_metadata.exists():
        check_student(folder)
    metadata = folder.read_run()
    transfer = metadata.settings.transfer
    num_rounds, seed = (
        parse(transfer.get(name), int, file=folder.run, path=f"settings.transfer.{name}") for name in ("rounds", "seed")
    )
    others = {name: value for name, value in asdict(metadata.settings).items() if name != "transfer"}
    settings = {"rounds": str(num_rounds)} | flatten(transfer) | flatten(others)
    del settings["seed"]
    if _owns_teacher(path, settings):
        settings |= {"teacher.weights": OWN, "teacher_sha256": OWN}
    return Run(
        path=path,
        name=name,
        settings=settings,
        defaults=frozenset(metadata.defaults),
        seed=seed,
        num_rounds=num_rounds,
        command=metadata.command,
        versions=metadata.versions,
        rows=_thin(sorted(folder.read_metrics(), key=lambda row: row["round"]), folder.pseudo),
        result=folder.read_result() if folder.result.exists() else None,
        measured=folder.read_measurement(),
        collapses=tuple(folder.read_collapses()),
        student_metadata=folder.read_student() if folder.student_metadata.exists() else None,
        sensitivity=read_sensitivity(folder),
        pictures=_find_pictures(folder.pseudo),
    )


def _thin(rows: list[Row], pseudo: Path) -> tuple[Row, ...]:
    """Return at most some thousand rows, evenly spaced, with the first, the last and those of pictures among them."""
    if len(rows) <= MAX_ROWS:
        return tuple(rows)
    pictured = {round_of(path) for path in _find_pictures(pseudo)}
    step = (len(rows) - 1) / (MAX_ROWS - 1)
    chosen = {round(step * number) for number in range(MAX_ROWS)}
    return tuple(row for number, row in enumerate(rows) if number in chosen or row["round"] in pictured)


def _owns_teacher(path: Path, settings: Settings) -> bool:
    """Whether the teacher lies in the run folder: it was made by the same command, and the seed decided it too."""
    weights = settings.get("teacher.weights", "none")
    return weights != "none" and (path / PurePath(weights).name).is_file()


def _find_pictures(folder: Path) -> tuple[Path, ...]:
    found = [path for path in folder.glob("round_*") if path.suffix in (".png", ".npz") and round_of(path) is not None]
    return tuple(sorted(found, key=lambda path: round_of(path) or 0))


def round_of(picture: Path) -> int | None:
    """Read the round from a picture's name; None where it names none."""
    number = picture.stem.removeprefix("round_")
    return int(number) if number.isdecimal() else None
