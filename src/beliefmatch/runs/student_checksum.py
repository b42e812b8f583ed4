"""The checksum of a student's weights: student.json and result.json name it."""

from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import hash_file
from beliefmatch.setting_names import Setting, where_known


def check_student(folder: RunFolder) -> None:
    """Check that the student's weights are those that the run wrote, bit for bit.

    Both student.json and result.json name their checksum; a run that was cut short before its end has no result.json.

    Raises:
        FolderError: they are missing, or other ones; or one of the files that name the checksum is damaged.
    """
    named = {folder.student_metadata: folder.read_student().sha256}
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
