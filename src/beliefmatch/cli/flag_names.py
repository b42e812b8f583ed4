"""Flags in messages, as the command that was typed calls them: the library names those of `transfer`."""

import inspect
import re
from collections.abc import Callable

TEACHER = "--teacher."
RENAMED = {"--student.start": "--start"}
"""Flags of a student that commands with one flag a network have, by another name."""
WITHOUT = (
    (r", name their file with (\S+) FILE, or add \S+allow-untrained", r", or name their file with \1 FILE"),
    (r"choose one with \S+state-key or \S+state-key, such as (\S+)", r"save one to a file of its own, such as \1"),
    (r" \(or --student\.output, --output\)", ""),
    (r", or --resume --on-collapse restart to begin again by another seed", ""),
    (r"\. Going on; --on-collapse stop or restart does otherwise", ". Going on"),
    (r", or --micro-batch\b", ""),
)
"""What is said instead where it needs flags that such commands lack."""
DOTTED = re.compile(r"--[a-z_]+(?:\.[a-z-]+)+")


def flags_of(command: Callable[..., None]) -> frozenset[str]:
    """Return all flags of a command, such as --num-classes."""
    parameters = inspect.signature(command).parameters.values()
    named = (each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
    return frozenset(f"--{name.replace('_', '-')}" for name in named)


def in_own_flags(message: str, own: frozenset[str]) -> str:
    """Return a message with the flags of a command that takes a model as it is, such as compress.

    Args:
        message: with flags of `transfer`, such as --teacher.outputs.
        own: flags that the command has, such as --outputs.
    """
    for said, instead in WITHOUT:
        message = re.sub(said, instead, message)

    def rename(found: re.Match[str]) -> str:
        flag = found[0]
        renamed = RENAMED.get(flag) or (f"--{flag.removeprefix(TEACHER)}" if flag.startswith(TEACHER) else flag)
        return renamed if renamed in own else f"{flag} of beliefmatch transfer"

    return DOTTED.sub(rename, message)
