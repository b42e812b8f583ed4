"""The run folder: what a run is, what it logged, what came out."""

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from filelock import FileLock, Timeout
from torch import nn

from beliefmatch.errors import FolderError, ResumeError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import USUAL_CLASSES, make_network
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.logits import settle_logits
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.atomic import PARTIAL, make_folder, sweep, write_bytes, write_json
from beliefmatch.runs.folder import Result, Row, RunFiles, read_json
from beliefmatch.training.serialisation import differences, from_plain, to_plain
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trust import TrustedCode, check_trusted, code_named_in


class RunFolder(RunFiles):
    """The files of one run, and how they are written. Nothing is written before `begin`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.lock = path / "run.lock"
        self.held = FileLock(self.lock)

    def check_place(self, *, resume: bool, may_hold: tuple[str, ...] = ()) -> None:
        """Check that a run may begin here, or continue where one is, changing nothing.

        Args:
            resume: whether to continue the run that the folder holds; without one, a new run begins.
            may_hold: names of files that a new run may find.

        Raises:
            FolderError: the folder is occupied, or is not one that can be written.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise FolderError(f"{self.path} is a file, not a folder")
        except OSError as error:
            raise FolderError(f"{self.path} cannot be a folder: {error.strerror}") from error
        if self.holds_run and not resume:
            raise FolderError(f"{self.path} already holds a run: add --resume to continue it, or name another --folder")
        if self.path.is_dir() and not self.holds_run:
            ours = {*may_hold, self.pseudo.name, self.lock.name} if resume else set(may_hold)
            found = sorted(entry.name for entry in self.path.iterdir() if entry.name not in ours)
            if alien := [name for name in found if not (resume and name.endswith(PARTIAL))]:
                raise FolderError(f"{self.path} is not empty (it holds {alien[0]}): name another --folder")
        existing = next(parent for parent in (self.path, *self.path.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise FolderError(f"{existing} is not writable: name another --folder")

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Check that the run in the folder, if there is one, was begun with these settings.

        The teacher is compared by the bytes of its weights, so its file may have moved.

        Raises:
            ResumeError: settings differ (field by field).
        """
        if self.holds_run:
            changed = differences(_comparable(self.read()["settings"]), _comparable(settings))
            if changed:
                raise ResumeError(
                    f"{self.path} was begun with other settings: {'; '.join(changed)}: take those, or another --folder"
                )

    def begin(self, settings: dict[str, Any]) -> None:
        """Make the folder, take it for this process until `release`, and say in run.json what the run is.

        A run that continues keeps the run.json it has, but for where the teacher lies, who knows its normalisation, and
        whether its number of classes was said.

        Raises:
            FolderError: the folder cannot be made or written, or another process runs in it.
        """
        make_folder(self.pseudo)
        try:
            self.held.acquire(timeout=0)
        except Timeout:
            raise FolderError(f"another process is running in {self.path}: wait for it, or end it") from None
        except OSError as error:
            raise FolderError(f"cannot write {self.lock}: {error.strerror}") from error
        for folder in (self.path, self.pseudo):
            sweep(folder)
        if not self.holds_run:
            seed = settings["transfer"]["seed"]
            facts = {"settings": settings, "seed": seed, "command": sys.argv, "versions": versions()}
            write_json(self.run, facts)
        elif (facts := self.read())["settings"] != settings:
            # All that may differ by now is where the teacher's weights lie, who knows the normalisation, and whether
            # the number of classes was said.
            write_json(self.run, facts | {"settings": settings})

    def release(self) -> None:
        """Let other processes run in the folder again. A process that dies lets go of it too."""
        self.held.release()

    def read_transfer(self, *, trust_code: TrustedCode = False) -> Transfer:
        """Read the settings of the run.

        Args:
            trust_code: which Python code they may name, as networks made from them import it.

        Raises:
            FolderError: there is no run here, its run.json is damaged, or it names code that is not trusted.
        """
        plain = self.read()["settings"]["transfer"]
        try:
            transfer = from_plain(_with_usual_classes_open(_with_usual_rounds(plain)))
        except (KeyError, TypeError, AttributeError) as error:
            raise FolderError(f"{self.run} is damaged, or from another version: {error!r}") from error
        if not isinstance(transfer, Transfer):
            raise FolderError(f"{self.run} is damaged: it holds no transfer")
        check_trusted(code_named_in(transfer), trust_code, file=self.run)
        return transfer

    def read_student_facts(self, *, trust_code: TrustedCode = False) -> dict[str, Any]:
        """Read student.json: the student's architecture, number of classes and inputs.

        Args:
            trust_code: which Python code may be its architecture, as making it imports that.

        Raises:
            FolderError: there is no student here, its student.json is damaged, or it names code that is not trusted.
        """
        if not self.student_facts.is_file():
            raise FolderError(f"{self.path} holds no student (no {self.student_facts.name}): has its run finished?")
        facts = read_json(self.student_facts)
        for name, kind in (("architecture", str), ("num_classes", int), ("inputs", dict)):
            if not isinstance(facts.get(name), kind):
                raise FolderError(f"{self.student_facts} is damaged: {name} is missing, or is no {kind.__name__}")
        check_trusted([facts["architecture"]], trust_code, file=self.student_facts)
        return facts

    def append_metrics(self, row: Row) -> None:
        """Append one line to metrics.jsonl.

        Raises:
            FolderError: it cannot be written.
        """
        try:
            with self.metrics.open("a") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise FolderError(f"cannot write {self.metrics}: {error.strerror}") from error

    def rewind_metrics(self, last_round: int) -> None:
        """Drop the lines after a round, which a continued run will write again."""
        rows = [row for row in self.read_metrics() if row["round"] <= last_round]
        write_bytes(self.metrics, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def write_student(self, student: nn.Module, transfer: Transfer, num_classes: int) -> None:
        """Write the student's weights, and beside them what it takes to load them."""
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in student.state_dict().items()}
        write_bytes(self.student, safetensors.torch.save(tensors))
        student_settings = to_plain(transfer.student)
        write_json(
            self.student_facts,
            {
                "architecture": student_settings["architecture"],
                "num_classes": num_classes,
                "inputs": to_plain(transfer.inputs),
                "weights": self.student.name,
                "how_to_load": "beliefmatch.load_student('the folder of this file')",
            },
        )

    def write_result(self, result: Result) -> None:
        """Write result.json at once."""
        write_json(self.result, asdict(result))


def load_student(folder: Path | str, *, architecture: str | None = None, trust_code: TrustedCode = False) -> nn.Module:
    """Load the student of a finished run, in eval mode, on the CPU.

    Args:
        folder: of the run.
        architecture: of the student, such as my_file.py:make_network. None: what the folder names.
        trust_code: whether to import a Python file that the folder names as the architecture, or names of those that
            may be imported.

    Raises:
        FolderError: the folder holds no finished run, or names Python code that is not trusted.
        NetworkError: the student cannot be made.
        WeightsError: its weights are damaged.
    """
    run = RunFolder(Path(folder))
    # Where the caller names the architecture, the one in the folder is not made.
    facts = run.read_student_facts(trust_code=trust_code if architecture is None else True)
    try:
        inputs = from_plain(facts["inputs"])
    except (KeyError, TypeError) as error:
        raise FolderError(f"{run.student_facts} is damaged: {error!r}") from error
    if not isinstance(inputs, InputSpec):
        raise FolderError(f"{run.student_facts} is damaged: its inputs are no InputSpec")
    name = facts["architecture"] if architecture is None else architecture
    student = make_network(name, in_channels=inputs.shape[0], num_classes=facts["num_classes"])
    fit_weights(student, read_weights(run.student), name=str(run.student))
    student.float().eval()
    settle_logits(student, inputs, name=None)
    return student


def settings_of(
    transfer: Transfer, teacher: Teacher, *, num_processes: int, device: str, precision: str
) -> dict[str, Any]:
    """Gather all that must be equal for a run to continue; the teacher counts by content."""
    return {
        "transfer": to_plain(transfer),
        "teacher_sha256": fingerprint(teacher.module),
        "num_processes": num_processes,
        "device": device,
        "precision": precision,
    }


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    settings = json.loads(json.dumps(settings))
    del settings["transfer"]["teacher"]["weights"]
    # How many classes it has is its content, too, whether it was said or not.
    settings["transfer"]["teacher"].pop("num_classes", None)
    # Who knows the normalisation changes nothing that is computed, and older runs do not record it.
    settings["transfer"]["inputs"].pop("normalisation_from", None)
    return settings


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over names and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what computes."""
    packages = ("beliefmatch", "torch", "numpy", "lightning-fabric", "safetensors")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _with_usual_rounds(transfer: dict[str, Any]) -> dict[str, Any]:
    """Copy settings under today's names: earlier versions called the usual rounds published ones."""
    return {"usual_rounds" if name == "published_rounds" else name: value for name, value in transfer.items()}


def _with_usual_classes_open(transfer: dict[str, Any]) -> dict[str, Any]:
    """Copy settings, and leave open the teacher's number of classes where it is the usual one.

    Earlier versions recorded the usual number where none was said, and ignored it where the teacher brought its own.
    """
    teacher = transfer["teacher"]
    is_usual = teacher.get("num_classes") == USUAL_CLASSES
    return transfer | {"teacher": teacher | {"num_classes": None}} if is_usual else transfer
