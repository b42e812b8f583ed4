"""The checksums of a student: of its weights, in student.json and result.json, and of how it is made of them."""

import hashlib
import json
from dataclasses import asdict

from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import hash_file
from beliefmatch.runs.schema.run import StudentMetadata
from beliefmatch.runs.serialisation import WITHOUT_EFFECT, comparable
from beliefmatch.setting_names import Setting, where_known

MADE = ("plan", "quantization", "num_classes", "task", "outputs", "output", "inputs")
"""Fields of student.json that decide what the student predicts, besides its architecture and its weights."""


def made_checksum(metadata: StudentMetadata) -> str:
    """Compute the SHA-256 of how a student is made and used: of `MADE` as JSON with sorted keys; hexadecimal."""
    fields = asdict(metadata)
    return hashlib.sha256(json.dumps({name: fields[name] for name in MADE}, sort_keys=True).encode()).hexdigest()


def check_student(folder: RunFolder) -> None:
    """Check that the student is the one that the run wrote, bit for bit.

    Both student.json and result.json name the checksum of its weights; a run that was cut short before its end has no
    result.json. What else decides its predictions has a checksum in student.json, and its inputs stand in run.json too.

    Raises:
        FolderError: the weights are missing, or other ones; or one of these files is damaged.
    """
    metadata = folder.read_student()
    _check_made(folder, metadata)
    named = {folder.student_metadata: metadata.sha256}
    if folder.result.exists():
        named[folder.result] = folder.read_result().student_sha256
    continued = where_known(" with {}", Setting("resume", value=True))
    if not folder.student.exists():
        raise FolderError(f"{folder.student} is missing: continue the run{continued}, which writes it again")
    found = hash_file(folder.student)
    for path, expected in named.items():
        if found != expected:
            raise FolderError(
                f"{folder.student} is damaged: its SHA-256 is {found[:12]}..., {path.name} says {expected[:12]}...; "
                f"continuing the run{continued} writes it again{_from_checkpoint(folder)}"
            )


def _check_made(folder: RunFolder, metadata: StudentMetadata) -> None:
    again = where_known(": continuing the run with {} writes it again", Setting("resume", value=True))
    if made_checksum(metadata) != metadata.made_sha256:
        raise FolderError(
            f"{folder.student_metadata} is damaged: one of {', '.join(MADE)} is not as the run wrote it{again}"
        )
    if folder.holds_run:
        known = {name: value for name, value in metadata.inputs.items() if f"inputs.{name}" not in WITHOUT_EFFECT}
        if comparable(folder.read_run().settings)["transfer"].get("inputs") != known:
            raise FolderError(f"{folder.run} and {folder.student_metadata.name} name different inputs: one is damaged")


def is_student_whole(folder: RunFolder) -> bool:
    """Whether the student of a run, with its metadata, is as the run wrote it."""
    try:
        check_student(folder)
    except FolderError:
        return False
    return True


def _from_checkpoint(folder: RunFolder) -> str:
    """Return in words which checkpoints there are to write a student from."""
    kept = [path.name for path in (folder.checkpoint, folder.previous_checkpoint) if path.is_file()]
    return f" from {', or where that is damaged from '.join(kept)}" if kept else ", by doing all rounds again"
