"""Zip archives that somebody else may have made: what is unpacked from them is bounded before; without torch."""

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from beliefmatch.errors import FolderError, first_line
from beliefmatch.memory import check_memory, gibibytes

MAX_RATIO, SMALL = 100, 2**26
"""Times that a member may grow when it is unpacked, where it has more bytes than the second. Real weights and images
shrink to a half or so; what shrinks a thousandfold is made to fill memory."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of compression that numpy and torch write."""
ENCRYPTED = 1
"""Flag of a member."""
BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, OverflowError)
"""What a damaged archive raises."""


def check_archive(file: BinaryIO, path: Path) -> None:
    """Check that all members of an archive may be unpacked, and leave the file at its beginning.

    Raises:
        FolderError: the archive is damaged, or see `check_member`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except BROKEN as error:
        raise FolderError(f"{path} is truncated or damaged ({first_line(error)})") from error
    for member in members:
        check_member(member, f"{path}: {member.filename[:80]}")
    check_memory(
        sum(member.file_size for member in members), f"what is in {path}", "free some memory", error=FolderError
    )
    file.seek(0)


def check_member(member: zipfile.ZipInfo, where: str) -> None:
    """Check that a member of an archive may be unpacked.

    Raises:
        FolderError: it is encrypted, compressed in an unknown way, or would grow out of all proportion.
    """
    if member.flag_bits & ENCRYPTED:
        raise FolderError(f"{where} is encrypted")
    if member.compress_type not in METHODS:
        raise FolderError(f"{where} is compressed in a way that is not known here")
    if member.file_size > SMALL and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise FolderError(
            f"{where} is refused: {member.compress_size:,} bytes would become {gibibytes(member.file_size)}"
        )
