"""Files that are either whole or as they were."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beliefmatch.errors import FolderError

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file at once: write beside it, flush to the disk, rename over it.

    Raises:
        FolderError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    with replacing(path, content):
        pass


@contextmanager
def replacing(path: Path, content: bytes) -> Iterator[Path]:
    """Write beside a file what shall replace it, and replace it at the end of the block unless that raises.

    Yields:
        The new file beside the old one, flushed to the disk.

    Raises:
        FolderError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    temporary = _write_beside(path, content)
    try:
        yield temporary
        with _with_reason(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_beside(path: Path, content: bytes) -> Path:
    temporary: Path | None = None
    try:
        with _with_reason(path):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            return temporary
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _with_reason(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kept = " (the old one is untouched)" if path.exists() else ""
        raise FolderError(f"cannot write {path}: {error.strerror}{kept}") from error


def write_json(path: Path, content: object) -> None:
    """Replace a JSON file at once; see `write_bytes`."""
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def make_folder(path: Path) -> None:
    """Create a folder and those above it, where they are missing.

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
