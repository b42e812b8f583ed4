"""The command in a process of its own, forked from one that has imported torch already, which would else take seconds.

What happens to the process stays in it: it can be killed, or run out of space, and no other notices.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["lightning_fabric", "matplotlib.backends.backend_agg", "beliefmatch.training.run"])

Fate = Callable[[], None]


def start_command(*arguments: str, log: Path, fate: Fate | None = None) -> ForkServerProcess:
    """Start it.

    Args:
        arguments: of the command.
        log: gets what it prints.
        fate: called in the process before the command.
    """
    process = CONTEXT.Process(target=_run, args=(arguments, log, fate))
    process.start()
    return process


def _run(arguments: tuple[str, ...], log: Path, fate: Fate | None) -> None:
    import torch  # noqa: PLC0415

    from beliefmatch.cli import main  # noqa: PLC0415

    # So small a network gains nothing from two threads, and the tests run faster.
    torch.set_num_threads(1)
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(printed, stream.fileno())
    if fate is not None:
        fate()
    sys.exit(main(list(arguments)))


class KillInWrite:
    """Kills the process when it syncs a file for the so-and-so-manieth time, as a crash in the middle of a write."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self) -> None:
        os.fsync = self._fsync

    def _fsync(self, handle: int, real: Callable[[int], None] = os.fsync) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)


def fill_disk() -> None:
    """Let no file become longer than 20,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
