"""Standard streams that outlive their audience: a run goes on when nobody reads what it says any more."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class LastingStream:
    """A text stream that falls silent where it cannot be written, and shows letters that it lacks by their numbers."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None
        """Why it fell silent; None: it has not."""

    def write(self, text: str) -> int:
        """Write a text, as far as the stream can."""
        if self.failure is None:
            try:
                self._write(text)
            except OSError as error:
                self.failure = error
            except ValueError:
                self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            encoding = self.stream.encoding or "ascii"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Write what is buffered, as far as the stream can."""
        if self.failure is None:
            try:
                self.stream.flush()
            except OSError as error:
                self.failure = error
            except ValueError:
                self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))

    @property
    def lost_text(self) -> bool:
        """Whether something was lost that a reader still waits for: one that closed its end has read enough."""
        return self.failure is not None and self.failure.errno not in (errno.EPIPE, errno.EIO, errno.EBADF)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def lasting_streams() -> Iterator[LastingStream]:
    """Let a command go on when its terminal closes, or what reads its output ends.

    Yields:
        The standard output.
    """
    before = sys.stdout, sys.stderr
    # Python has none where the system closed them.
    out, err = (LastingStream(stream or open(os.devnull, "w")) for stream in before)  # noqa: PTH123, SIM115
    sys.stdout, sys.stderr = out, err  # pyright: ignore[reportAttributeAccessIssue]
    hang_up = getattr(signal, "SIGHUP", None)
    handler = None
    if hang_up is not None and threading.current_thread() is threading.main_thread():
        handler = signal.signal(hang_up, signal.SIG_IGN)
    try:
        yield out
        out.flush()
        err.flush()
    finally:
        sys.stdout, sys.stderr = before
        if hang_up is not None and handler is not None:
            signal.signal(hang_up, handler)
        for stream, number in ((out, 1), (err, 2)):
            if stream.failure is not None:
                # Python would complain once more when it flushes at the end.
                with suppress(OSError, ValueError):
                    if stream.stream.fileno() == number:
                        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
