"""The folder of a run: names of its files, reading and writing them, and beginning a run in it; without torch."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock, Timeout

from beliefmatch.errors import FolderError, ResumeError
from beliefmatch.paths import as_path
from beliefmatch.runs.atomic import PARTIAL, alone_in, make_folder, sweep, write_bytes, write_json
from beliefmatch.runs.reading import read, read_bytes
from beliefmatch.runs.rows import parse_row
from beliefmatch.runs.schema.measurement import MeasurementRecord
from beliefmatch.runs.schema.result import Collapse, Collapses, Result
from beliefmatch.runs.schema.row import Row
from beliefmatch.runs.schema.run import RunMetadata, RunSettings, SourceMetadata, StudentMetadata
from beliefmatch.runs.serialisation import comparable, differences
from beliefmatch.runs.versions import versions
from beliefmatch.setting_names import Setting, where_known

TEACHER_FILE = "teacher.safetensors"
"""Name of the teacher's weights in the folders of the demo and the toy, which train one."""
PLANE_HALF_SIDE = 3.0
"""Half the side of the square around the origin that pictures of two-dimensional inputs show."""
MAX_METRICS_BYTES = 2**30
"""Bytes that metrics.jsonl may have. A run of a million rounds on 1,000 classes logs a seventh of that."""


class RunFolder:
    """The files of one run. Nothing is written before `begin`."""

    def __init__(self, path: Path | str) -> None:
        path = as_path(path, "folder")
        self.path = path
        self.run = path / "run.json"
        self.metrics = path / "metrics.jsonl"
        self.result = path / "result.json"
        self.measurement = path / "measurement.json"
        self.collapses = path / "collapses.json"
        self.source = path / "source.json"
        self.plan = path / "plan.json"
        self.sensitivity = path / "sensitivity.json"
        self.student = path / "student.safetensors"
        self.student_metadata = path / "student.json"
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint_previous.pt"
        self.curves = path / "curves.png"
        self.report = path / "report.html"
        self.pseudo = path / "pseudo"
        self.lock = path / "run.lock"
        self.held = FileLock(self.lock)

    @classmethod
    def at(cls, folder: "RunFolder | Path | str") -> "RunFolder":
        """Return the run folder itself, or the one at a path."""
        return folder if isinstance(folder, RunFolder) else cls(folder)

    @property
    def holds_run(self) -> bool:
        """Whether a run began here."""
        return self.run.is_file()

    def read_run(self) -> RunMetadata:
        """Read run.json.

        Raises:
            FolderError: there is no run here, or its run.json is damaged.
        """
        if not self.holds_run:
            raise FolderError(f"{self.path} holds no run (no {self.run.name})")
        return read(self.run, RunMetadata)

    def read_result(self) -> Result:
        """Read result.json.

        Raises:
            FolderError: the run has not finished, or the file is damaged.
        """
        if not self.result.exists():
            continued = where_known(" with {}", Setting("resume", value=True))
            raise FolderError(f"the run in {self.path} has not finished: continue it{continued}")
        return read(self.result, Result)

    def read_collapses(self) -> list[Collapse]:
        """Read collapses.json; empty where the run did not collapse.

        Raises:
            FolderError: the file is damaged.
        """
        return list(read(self.collapses, Collapses).collapses) if self.collapses.exists() else []

    def read_measurement(self) -> MeasurementRecord | None:
        """Read measurement.json; None where nothing was measured.

        Raises:
            FolderError: the file is damaged.
        """
        return read(self.measurement, MeasurementRecord) if self.measurement.exists() else None

    def read_student(self) -> StudentMetadata:
        """Read student.json.

        Raises:
            FolderError: the run has not finished, or the file is damaged.
        """
        if not self.student_metadata.exists():
            raise FolderError(f"{self.path} holds no student (no {self.student_metadata.name}): has its run finished?")
        return read(self.student_metadata, StudentMetadata)

    def read_metrics(self) -> list[Row]:
        """Read the lines of metrics.jsonl; a last one that was cut short by a kill is left out.

        Raises:
            FolderError: the file is damaged.
        """
        if not self.metrics.exists():
            return []
        *lines, last = read_bytes(self.metrics, MAX_METRICS_BYTES).split(b"\n")
        rows = [parse_row(line, f"line {number} of {self.metrics}") for number, line in enumerate(lines, start=1)]
        try:
            return [*rows, parse_row(last, str(self.metrics))] if last else rows
        except FolderError:
            return rows

    def check_usable(self, *, resume: bool, may_hold: tuple[str, ...] = ()) -> None:
        """Check that a run may begin here, or continue where one is, changing nothing.

        Args:
            resume: whether to continue the run that the folder holds; without one, a new run begins.
            may_hold: names of files that a new run may find.

        Raises:
            FolderError: the folder is occupied, another process runs in it, or it is not one that can be written.
        """
        other = f"name another {Setting('folder')}"
        if not str(self.path).isprintable():
            raise FolderError(f"{str(self.path)!r} holds characters that cannot be shown: {other}")
        try:
            if self.path.exists() and not self.path.is_dir():
                raise FolderError(f"{self.path} is a file, not a folder")
        except OSError as error:
            raise FolderError(f"{self.path} cannot be a folder: {error.strerror}") from error
        self.check_unlocked()
        if self.holds_run and not resume:
            resume_it = Setting("resume", value=True)
            raise FolderError(f"{self.path} already holds a run: add {resume_it} to continue it, or {other}")
        if self.path.is_dir() and not self.holds_run:
            ours = {*may_hold, self.lock.name, *((self.pseudo.name,) if resume else ())}
            found = sorted(entry.name for entry in self.path.iterdir() if entry.name not in ours)
            if alien := [name for name in found if not (resume and name.endswith(PARTIAL))]:
                raise FolderError(f"{self.path} is not empty (it holds {alien[0]}): {other}")
        existing = next(parent for parent in (self.path, *self.path.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise FolderError(f"{existing} is not writable: {other}")

    def check_unlocked(self) -> None:
        """Check that no other process runs here, which a lock that this one does not hold tells.

        Raises:
            FolderError: one does.
        """
        if self.lock.exists() and not self.held.is_locked:
            self.acquire()
            self.release()

    def find_moved(self, path: Path) -> Path:
        """Return a file's path, or that of its name in this folder where it is gone and the folder holds one."""
        here = self.path / path.name
        return here.absolute() if here.is_file() and not path.exists() else path

    def check_settings(self, settings: RunSettings) -> None:
        """Check that the run in the folder, if there is one, was begun with these settings.

        The teacher is compared by the bytes of its weights, so its file may have moved.

        Raises:
            ResumeError: settings differ (field by field).
        """
        if self.holds_run:
            changed = differences(comparable(self.read_run().settings), comparable(settings))
            if changed:
                way_out = f"take those, or another {Setting('folder')}"
                raise ResumeError(f"{self.path} was begun with other settings: {'; '.join(changed)}: {way_out}")

    def acquire(self) -> None:
        """Create the folder and lock it for this process until `release`.

        Raises:
            FolderError: the folder cannot be made or written, or another process runs in it.
        """
        if self.held.is_locked:
            return
        make_folder(self.path)
        try:
            self.held.acquire(timeout=0)
        except Timeout:
            raise FolderError(f"another process is running in {self.path}: wait for it, or end it") from None
        except OSError as error:
            raise FolderError(f"cannot write {self.lock}: {error.strerror}") from error

    def begin(
        self,
        settings: RunSettings,
        *,
        resume: bool = True,
        may_hold: tuple[str, ...] = (),
        defaults: Sequence[str] = (),
    ) -> None:
        """Create the folder, lock it for this process until `release`, and write run.json.

        A run that continues keeps the run.json it has, but for where the teacher lies, who gave its normalisation, and
        whether its number of classes was given.

        Args:
            settings: of the run.
            resume: see `check_usable`, which looks again here: another process may have run here since it looked first.
            may_hold: likewise.
            defaults: names of the settings that have the default of their class.

        Raises:
            FolderError: the folder cannot be made or written, another process runs in it, or it is occupied.
            ResumeError: see `check_settings`.
        """
        self.acquire()
        self.check_usable(resume=resume, may_hold=may_hold)
        self.check_settings(settings)
        make_folder(self.pseudo)
        for folder in (self.path, self.pseudo):
            sweep(folder)
        if not self.holds_run:
            seed = settings.transfer["seed"]
            metadata = RunMetadata(
                settings=settings,
                seed=seed,
                command=tuple(sys.argv),
                versions=versions(),
                defaults=tuple(defaults),
            )
            write_json(self.run, asdict(metadata))
        elif (metadata := self.read_run()).settings != settings:
            # `check_settings` has seen to it that nothing else differs.
            write_json(self.run, asdict(replace(metadata, settings=settings)))

    def release(self) -> None:
        """Unlock the folder for other processes. A process that dies unlocks it too."""
        self.held.release()

    def append_metrics(self, row: Row) -> None:
        """Append one line to metrics.jsonl.

        Raises:
            FolderError: it cannot be written.
        """
        try:
            with self.metrics.open("a") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        except OSError as error:
            raise FolderError(f"cannot write {self.metrics}: {error.strerror}") from error

    def rewind_metrics(self, last_round: int) -> None:
        """Drop the lines after a round, which a continued run will write again."""
        rows = [row for row in self.read_metrics() if row["round"] <= last_round]
        write_bytes(self.metrics, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())

    def write_result(self, result: Result) -> None:
        """Write result.json at once."""
        write_json(self.result, asdict(result))

    def change_result(self, change: Callable[[Result], Result]) -> None:
        """Read result.json, change it and write it, while no other process does."""
        with alone_in(self.path):
            self.write_result(change(self.read_result()))

    def write_collapses(self, collapses: list[Collapse]) -> None:
        """Write collapses.json at once."""
        write_json(self.collapses, asdict(Collapses(collapses=tuple(collapses))))

    def write_measurement(self, measurement: MeasurementRecord) -> None:
        """Write measurement.json at once."""
        write_json(self.measurement, asdict(measurement))

    def write_source(self, source: SourceMetadata) -> None:
        """Write source.json at once."""
        write_json(self.source, asdict(source))

    def write_student_metadata(self, student: StudentMetadata) -> None:
        """Write student.json at once."""
        write_json(self.student_metadata, asdict(student))
