"""Eager rounds: every operation is started from Python, one after the other."""

import ctypes
import platform

from lightning_fabric import Fabric

from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.loop import Metrics, TransferState, compute_round, end_round
from beliefmatch.training.transfer import Transfer

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of two options of the C library."""
LARGEST_BLOCK = 2**30
"""Bytes of the largest block of memory that is kept."""


class EagerExecution(AbstractExecution):
    """Runs rounds step by step."""

    def __init__(
        self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric, *, reason: str
    ) -> None:
        """Build an execution from what a round needs.

        Args:
            transfer: settings, resolved.
            state: moves.
            teacher: stays.
            fabric: device, precision and processes.
            reason: why rounds are eager.
        """
        self.transfer = transfer
        self.state = state
        self.teacher = teacher
        self.fabric = fabric
        self.reason = reason
        if fabric.device.type == "cpu":
            keep_freed_memory()

    def next(self) -> Metrics:
        """Run one round."""
        metrics = compute_round(self.transfer, self.state, self.teacher, self.fabric)
        end_round(self.transfer, self.state)
        return metrics

    def describe(self) -> str:
        """Describe the rounds, and why they are eager."""
        return f"eager rounds ({self.reason})"

    def close(self) -> None:
        """Change nothing: both networks have their own forward pass."""


def keep_freed_memory() -> None:
    """Make the C library keep what tensors free, for the whole process, instead of returning it to the system.

    Every round needs the same blocks again, and the system clears each page that it hands out anew. Only glibc has this
    choice; elsewhere nothing happens.
    """
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        # A C library that refuses so large a block must not get the rest either, which would end its own choice.
        if library.mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK):
            library.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_BLOCK - 1)
