"""Zip archives that somebody else may have made: what is unpacked from them is bounded before; without torch."""

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from beliefmatch.errors import FolderError, first_line
from beliefmatch.memory import check_memory, gibibytes

MAX_RATIO, SMALL = 100, 2**26
"""Times that a member, or all members together, may grow when they are unpacked, where they have more bytes than the
second. Real weights and images shrink to a half or so; what shrinks a thousandfold is made to fill memory."""
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
    check_members(members, path)
    file.seek(0)


def check_members(
    members: Collection[zipfile.ZipInfo], path: Path, *, copies: int = 1, way_out: str = "free some memory"
) -> None:
    """Check that some members of an archive may be unpacked, each and all together.

    Args:
        members: those that are read.
        path: of the archive.
        copies: of them that are in memory at a time.
        way_out: what the user can do where the memory is too little.

    Raises:
        FolderError: one is encrypted or compressed in an unknown way; or they would grow out of all proportion, or
            into more than the free memory.
    """
    for member in members:
        _check_member(member, f"{path}: {member.filename[:80]}")
    size = sum(member.file_size for member in members)
    # The size of the file, for members may share their bytes in it.
    stored = min(sum(member.compress_size for member in members), path.stat().st_size)
    _check_growth(stored, size, str(path))
    check_memory(copies * size, f"what is in {path}", way_out, error=FolderError)


def _check_member(member: zipfile.ZipInfo, where: str) -> None:
    if member.flag_bits & ENCRYPTED:
        raise FolderError(f"{where} is encrypted")
    if member.compress_type not in METHODS:
        raise FolderError(f"{where} is compressed in a way that is not known here")
    _check_growth(member.compress_size, member.file_size, where)


def _check_growth(stored: int, size: int, where: str) -> None:
    if size > SMALL and size > MAX_RATIO * max(stored, 1):
        raise FolderError(f"{where} is refused: {stored:,} bytes would become {gibibytes(size)}")
