"""Memory of the host, kept for the next round."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**30
"""Bytes of the largest block that is kept."""


def keep_freed_memory() -> None:
    """Let the C library keep what tensors free, for the whole process, instead of giving it back to the system.

    Every round needs the same blocks again, and the system clears each page that it hands out anew. Only glibc has this
    choice; elsewhere nothing happens.
    """
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        # A C library that refuses so large a block must not be told the rest either, which would end its own choice.
        if library.mallopt(M_MMAP_THRESHOLD, LARGEST):
            library.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST - 1)
