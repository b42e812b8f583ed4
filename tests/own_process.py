"""Processes of their own, forked from one that has imported torch already, which would else take seconds each.

What happens to such a process stays in it: it can be killed, or run out of space, and no other notices. Tests of what
a process imports, or of how processes are launched, start real ones.
"""

import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import IO

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["lightning_fabric", "matplotlib.backends.backend_agg", "beliefmatch.training.run"])

Fate = Callable[[], None]


def start_command(
    *arguments: str,
    log: Path,
    errors: Path | None = None,
    fate: Fate | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Start it.

    Args:
        arguments: of the command.
        log: gets what it prints.
        errors: gets what it prints of errors, where that is another file.
        fate: called in the process before the command.
        folder: to work in.
        environment: variables to set.
    """
    process = CONTEXT.Process(target=_run, args=(arguments, (log, errors or log), fate, folder, environment or {}))
    process.start()
    return process


def start_together(
    *arguments: str, count: int, log: Path, errors: Path, folder: Path, fate: Fate | None = None
) -> list[ForkServerProcess]:
    """Start a command in several processes that work together, as whoever launches them elsewhere does."""
    environment = {"COLUMNS": "120"}
    if count > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            environment["MASTER_PORT"] = str(free.getsockname()[1])
        environment |= {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0", "WORLD_SIZE": str(count)}
    ranks = [{"LOCAL_RANK": str(number)} if count > 1 else {} for number in range(count)]
    return [
        start_command(*arguments, log=log, errors=errors, fate=fate, folder=folder, environment=environment | rank)
        for rank in ranks
    ]


def _run(
    arguments: tuple[str, ...],
    printed: tuple[Path, Path],
    fate: Fate | None,
    folder: Path | None,
    environment: Mapping[str, str],
) -> None:
    import torch  # noqa: PLC0415

    from beliefmatch.cli import main  # noqa: PLC0415

    # So small a network gains nothing from two threads, and the tests run faster.
    torch.set_num_threads(1)
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    for stream, file in zip((sys.stdout, sys.stderr), printed, strict=True):
        # Several processes may write to it.
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream.fileno())
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


class KillAfterWrite:
    """Kills the process when it has written a file of a name, as many times as told, as a crash between two steps."""

    def __init__(self, name: str, times: int = 1) -> None:
        self.name = name
        self.left = times

    def __call__(self) -> None:
        os.replace = self._replace

    def _replace(self, old: Path, new: Path, real: Callable[[Path, Path], None] = os.replace) -> None:
        real(old, new)
        self.left -= Path(new).name == self.name
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """Let no file become longer than 20,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


class ForkedPopen:
    """Stands for `subprocess.Popen` where an exported file is asked: the same process, but for its imports."""

    def __init__(self, words: list[str], *, stdin: int, stdout: int, stderr: IO[bytes], env: Mapping[str, str]) -> None:
        assert stdin == stdout == subprocess.PIPE
        assert words[1:4] == ["-P", "-m", "beliefmatch.export.prediction_program"]
        taken, given = CONTEXT.Pipe(duplex=False)
        answers, answered = CONTEXT.Pipe(duplex=False)
        complaints = Connection(os.dup(stderr.fileno()))
        self.process = CONTEXT.Process(target=_answer, args=(tuple(words[4:]), taken, answered, complaints, dict(env)))
        self.process.start()
        self.stdin = os.fdopen(os.dup(given.fileno()), "wb")
        self.stdout = os.fdopen(os.dup(answers.fileno()), "rb")
        for connection in (taken, given, answers, answered, complaints):
            connection.close()

    def __enter__(self) -> "ForkedPopen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.wait()

    def kill(self) -> None:
        self.process.kill()

    def wait(self) -> None:
        self.process.join()

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode


def _answer(
    words: tuple[str, ...], taken: Connection, answered: Connection, complaints: Connection, env: Mapping[str, str]
) -> None:
    from beliefmatch.export import prediction_program  # noqa: PLC0415
    from beliefmatch.networks.loading.torchvision_operators import define_missing_operators  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(env)
    for number, connection in enumerate((taken, answered, complaints)):
        os.dup2(connection.fileno(), number)
        connection.close()
    sys.stdin = os.fdopen(0)
    define_missing_operators()
    prediction_program.main(*words)
