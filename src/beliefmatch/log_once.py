"""Messages of the log that are written once: a command may load the same network several times."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WRITTEN: ContextVar[set[str] | None] = ContextVar("messages written", default=None)


@contextmanager
def each_message_once() -> Iterator[None]:
    """Write each message of `log_once` once while the context lasts. Within another such context nothing changes."""
    token = _WRITTEN.set(set() if (written := _WRITTEN.get()) is None else written)
    try:
        yield
    finally:
        _WRITTEN.reset(token)


def log_once(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Write a message to the log, unless the command at hand has written the same one.

    Args:
        logger: to write to.
        level: such as `logging.WARNING`. What it leaves out does not count as written.
        message: with a place for each argument, as `logging` has it.
        args: to fill in.
    """
    written, text = _WRITTEN.get(), message % args if args else message
    if written is None or text not in written:
        logger.log(level, message, *args)
        if written is not None and logger.isEnabledFor(level):
            written.add(text)
