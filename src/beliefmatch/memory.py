"""How much memory is free, and refusing what needs more before any of it is taken; without torch."""

import os
from pathlib import Path

from beliefmatch.errors import BeliefMatchError

CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Files in which Linux keeps the limit of a container, and what it uses."""
UNIT = 2**30


def free_memory() -> int | None:
    """Return the bytes of memory that this process may still take; None where the system does not say."""
    limits = [_free_of_machine(), *(_free_of_container(*files) for files in CGROUPS)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def check_memory(
    needed: int, what: str, way_out: str, *, error: type[BeliefMatchError], free: int | None = None
) -> None:
    """Check that so much memory is free, before it is taken.

    Args:
        needed: bytes, as estimated.
        what: needs it, for the message.
        way_out: what the user can do, for the message.
        error: to raise.
        free: bytes on the device; None: those of this machine.

    Raises:
        BeliefMatchError: it is not free.
    """
    free = free_memory() if free is None else free
    if free is not None and needed > free:
        raise error(f"{what} would take about {gibibytes(needed)} of memory, and {gibibytes(free)} are free: {way_out}")


def gibibytes(count: int) -> str:
    """Return a number of bytes as text."""
    return f"{count / UNIT:,.1f} GiB" if count < 10**6 * UNIT else f"{count / UNIT:.0e} GiB"


def _free_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _free_of_container(limit: Path, used: Path) -> int | None:
    try:
        return max(int(limit.read_text()) - int(used.read_text()), 0)
    except (OSError, ValueError):
        return None  # No container, or one without a limit.
