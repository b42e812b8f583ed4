"""Signals that ask a run to end: the round under way is finished and a checkpoint written first."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C; what `kill` and job schedulers send; and a terminal that closes."""


class Interruption:
    """Whether a signal has asked the run to end."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """Number of the first one. None: none came."""

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C ends at once."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number
        logger.warning(
            "%s: this round is finished and a checkpoint is written first; Ctrl-C once more ends at once",
            signal.Signals(number).name,
        )

    def end_run(self) -> None:
        """End the run as the signal would have.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            SystemExit: it was another; the exit code is 128 and its number.
        """
        assert self.signal is not None
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)


@contextmanager
def deferring_signals(*, num_processes: int) -> Iterator[Interruption]:
    """Note signals that ask the run to end, rather than obey them in the middle of a round.

    Signals that are ignored, as SIGHUP is under nohup, and those with a handler of the caller's own stay as they are.
    With several processes nothing is deferred: they would not all see the signal in the same round, and a checkpoint
    needs them all.

    Args:
        num_processes: of the run.
    """
    interruption = Interruption()
    earlier = {}
    # Python allows handlers in the main thread alone.
    if num_processes == 1 and threading.current_thread() is threading.main_thread():
        usual = (signal.SIG_DFL, signal.default_int_handler)
        earlier = {each: handler for each in SIGNALS if (handler := signal.getsignal(each)) in usual}
    try:
        for each in earlier:
            signal.signal(each, interruption.receive)
        yield interruption
    finally:
        for each, handler in earlier.items():
            signal.signal(each, handler)
