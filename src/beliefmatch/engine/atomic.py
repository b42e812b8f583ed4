"""Files that are either whole or as they were."""

import json
import os
import tempfile
from pathlib import Path

from beliefmatch.errors import FolderError

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file at once: write beside it, flush to the disk, rename over it.

    Raises:
        FolderError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        kept = " (the old one is untouched)" if path.exists() else ""
        raise FolderError(f"cannot write {path}: {error.strerror}{kept}") from error


def write_json(path: Path, content: object) -> None:
    """Replace a JSON file at once; see `write_bytes`."""
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        FolderError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {path}: {error.strerror}") from error


def sweep(folder: Path) -> None:
    """Remove what writes that were killed left in a folder beside the files they meant to replace."""
    for leftover in folder.glob(f".*{PARTIAL}"):
        leftover.unlink(missing_ok=True)
