"""The log of facts about networks: a command that loads networks several times says each fact once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SAID: ContextVar[set[str] | None] = ContextVar("said", default=None)


@contextmanager
def each_fact_once() -> Iterator[None]:
    """Write each fact once while the context lasts. Within another such context nothing changes."""
    token = _SAID.set(set() if (said := _SAID.get()) is None else said)
    try:
        yield
    finally:
        _SAID.reset(token)


def log_once(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Write a fact to the log, unless the command at hand has written the same one.

    Args:
        logger: to write to.
        level: such as `logging.WARNING`. What it leaves out does not count as written.
        message: with a place for each argument, as `logging` has it.
        args: to fill in.
    """
    said, text = _SAID.get(), message % args if args else message
    if said is None or text not in said:
        logger.log(level, message, *args)
        if said is not None and logger.isEnabledFor(level):
            said.add(text)
