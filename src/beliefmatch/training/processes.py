"""The processes of a run on several devices end together: none waits for ever, and none outlives the first."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_fabric import Fabric

from beliefmatch.errors import ProcessError, first_line
from beliefmatch.setting_names import Setting

POLL_SECONDS = 1.0
"""How often a process looks whether the first one lives."""


@contextmanager
def ending_together(fabric: Fabric, *, timeout: float) -> Iterator[None]:
    """End the processes that this one started where the block raises, whatever state they are in.

    Args:
        fabric: the processes.
        timeout: seconds that they wait for each other, for the message.

    Raises:
        ProcessError: another process did not answer in time, or is gone.
    """
    if fabric.world_size > 1 and fabric.global_rank > 0:
        end_with_parent()
    try:
        yield
    except RuntimeError as error:
        _end_started(fabric)
        if fabric.world_size > 1 and _is_of_processes(error):
            raise ProcessError(
                f"another process of this run is gone, or did not answer for {timeout:g} seconds "
                f"({Setting('timeout')}): "
                f"{first_line(error)}; the same run with {Setting('resume', value=True)} continues from the checkpoint"
            ) from error
        raise
    except BaseException:
        _end_started(fabric)
        raise


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, be it killed."""
    parent = os.getppid()

    def wait_for_end() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=wait_for_end, daemon=True, name="end-with-parent").start()


def _is_of_processes(error: RuntimeError) -> bool:
    """Whether an error is one of messages between processes; torch raises plain ones for many."""
    text = f"{type(error).__name__} {error}".lower()
    return any(word in text for word in ("gloo", "nccl", "timed out", "timeout", "connection", "distbackend"))


def _end_started(fabric: Fabric) -> None:
    launcher: Any = getattr(fabric.strategy, "launcher", None)
    for process in getattr(launcher, "procs", ()):
        if process.poll() is None:
            # A process that is stopped, or waits in a message, heeds no other signal.
            process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait()
