"""Files that are either whole or as they were."""

import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from beliefmatch.errors import FolderError, first_line

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has none, and locks files that are open by itself.
    fcntl = None

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""
LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.partial")
"""Names of such files of ours."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file at once: write beside it, flush to the disk, rename over it.

    A link is followed, and stays. The file gets the permissions that it had, or those that the user's umask leaves.

    Raises:
        FolderError: the disk is full, the folder cannot be written, or the path is a device or another thing that is no
            regular file; the old file is untouched.
    """
    with replacing(path, content):
        pass


@contextmanager
def replacing(path: Path, content: bytes) -> Iterator[Path]:
    """Write beside a file what shall replace it, and replace it at the end of the block unless that raises.

    Yields:
        The new file beside the old one, flushed to the disk.

    Raises:
        FolderError: see `write_bytes`; the old file is untouched.
    """
    with _with_reason(path):
        target = _find_target(path)
        sweep(target.parent)
        handle, temporary = _create_beside(target)
    try:
        with os.fdopen(handle, "wb") as file:
            with _with_reason(path):
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # The file stays open, and so locked, until it has its name: nobody else sweeps it meanwhile.
            yield temporary
            if fcntl is None:
                file.close()
            with _with_reason(path):
                temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block with this folder, and keep others out of it meanwhile."""
    handle = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None and handle is not None:
            with suppress(OSError):  # Some network drives know no locks.
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _find_target(path: Path) -> Path:
    """Return the file that a path means, through links."""
    target = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise FolderError(f"cannot write {path}: it is no regular file")
    return target


def _create_beside(target: Path) -> tuple[int, Path]:
    """Create a file beside another and lock it; return its descriptor and its path."""
    while True:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}{PARTIAL}")
        # The system applies the umask to the permissions of a new file.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        # Another process may have swept it before it was locked.
        if _lock(handle) and temporary.exists():
            return handle, temporary
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file unless another process has, until it is closed or this process ends."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network drives know no locks.
        return True
    return True


@contextmanager
def _with_reason(path: Path) -> Iterator[None]:
    try:
        yield
    except FolderError:
        raise
    except (OSError, ValueError) as error:
        kept = " (the old one is untouched)" if os.path.lexists(path) else ""
        reason = getattr(error, "strerror", None) or first_line(error)
        raise FolderError(f"cannot write {path}: {reason}{kept}") from error


def write_json(path: Path, content: object) -> None:
    """Replace a JSON file at once; see `write_bytes`. It holds no NaN and no infinity, which JSON does not know."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def make_folder(path: Path) -> None:
    """Create a folder and those above it, where they are missing.

    Raises:
        FolderError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise FolderError(f"cannot make {path}: {reason}") from error


def sweep(folder: Path) -> None:
    """Remove what writes that were killed left in a folder beside the files they meant to replace."""
    with suppress(OSError):
        for leftover in folder.glob(f".*{PARTIAL}"):
            if LEFTOVER.fullmatch(leftover.name):
                _remove_unless_locked(leftover)


def _remove_unless_locked(leftover: Path) -> None:
    """Remove a file unless a process that lives is still writing it."""
    with suppress(OSError):
        handle = os.open(leftover, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        try:
            if _lock(handle):
                leftover.unlink()
        finally:
            os.close(handle)
