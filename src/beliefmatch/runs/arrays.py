"""Reading arrays of an .npz file that somebody else may have made; without torch.

numpy believes the header of an array, and takes as much memory as that says. Here the header is read first, and
compared with the bytes that there are; nothing is unpickled.
"""

import math
import warnings
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from beliefmatch.errors import FolderError, first_line
from beliefmatch.memory import check_memory
from beliefmatch.runs.archives import BROKEN, check_members
from beliefmatch.runs.reading import open_regular

MAX_AXES = 16
"""Axes that an array may have."""


def read_arrays(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Read those of the named arrays that an .npz file holds.

    Args:
        path: of the file.
        names: of arrays.

    Returns:
        Arrays by name, in the machine's byte order.

    Raises:
        FolderError: the file cannot be read, is no .npz file, or one of these arrays is damaged, no array of numbers,
            or larger than the free memory.
    """
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                # Of several members of one name the last counts, as for zipfile.
                members = {member.filename: member for member in archive.infolist()}
                wanted = {name: members[f"{name}.npy"] for name in names if f"{name}.npy" in members}
                check_members(wanted.values(), path, way_out="take fewer examples")
                return {name: _read_member(archive, member, path) for name, member in wanted.items()}
        except zipfile.BadZipFile as error:
            raise FolderError(f"{path} {_why_no_archive(file, error)}") from error
        except BROKEN as error:
            if isinstance(error, FolderError):
                raise
            raise FolderError(f"{path} cannot be read ({first_line(error)})") from error


def names_in(path: Path) -> list[str]:
    """Return the names of the members of an .npz file.

    Raises:
        FolderError: see `read_arrays`.
    """
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return [member.filename.removesuffix(".npy") for member in archive.infolist()]
        except BROKEN as error:
            raise FolderError(f"{path} {_why_no_archive(file, error)}") from error


def _why_no_archive(file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    head = file.read(6)
    if head == npy_format.MAGIC_PREFIX:
        return "holds a single array, as np.save writes it: np.savez writes an .npz file"
    if head[:2] == b"PK":
        return f"cannot be read ({first_line(error)})"
    return "is no .npz file"


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    """Read one array, after a check of all that is said about it."""
    name = member.filename.removesuffix(".npy")
    where = f"{path}: {name}"
    with archive.open(member) as content:
        shape, is_fortran, dtype = _read_header(content, where)
        num_bytes = math.prod(shape) * dtype.itemsize
        left = member.file_size - content.tell()
        if num_bytes != left:
            raise FolderError(
                f"{where} is damaged: its header says {str(shape)[:60]} of {dtype}, which are {num_bytes:,} bytes, and "
                f"{left:,} follow"
            )
        # With the copies that a change of type makes.
        check_memory(2 * num_bytes, where, "take fewer examples", error=FolderError)
        values = np.frombuffer(content.read(), dtype=dtype)
    array = values.reshape(shape, order="F" if is_fortran else "C")
    return np.require(array.astype(dtype.newbyteorder("="), copy=False), requirements=["C", "W"])


def _read_header(content: Any, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, order and type of an array."""
    try:
        version = npy_format.read_magic(content)
        readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = readers[version](content)
    # numpy parses the header as Python, and repairs it where it is old, which fails in many ways.
    except Exception as error:
        raise FolderError(f"{where} is no array, or is damaged ({first_line(error)})") from error
    if dtype.hasobject or dtype.kind not in "biufc":
        raise FolderError(f"{where} have dtype {dtype}, expected numbers: pickles and texts are not read")
    if len(shape) > MAX_AXES or not all(type(size) is int and size >= 0 for size in shape):
        raise FolderError(f"{where} has a shape that no array has: {str(shape)[:60]}")
    return shape, is_fortran, dtype
