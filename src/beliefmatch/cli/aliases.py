"""Short forms of flags that the parser knows in full alone."""

from collections.abc import Sequence

from beliefmatch.errors import SettingsError

NETWORKS = ("--teacher", "--student")
SHORT_NETWORKS = "--teacher NAME and --student NAME are short for --teacher.architecture and --student.architecture."
"""What helps say of it."""
UNTRAINED = "--allow-untrained"
"""Short for the teacher's flag of this name."""
HOW_LONG = {
    **dict.fromkeys(("compress", "transfer"), "--minutes or --rounds"),
    **dict.fromkeys(("demo", "toy"), "--rounds"),
    "compare": "--minutes",
    "reproduce": "--rounds-fraction",
}
"""By command, the flags that say how long a run is. None is spelt so much like --budget that a parser could name it."""


def spell_out(arguments: Sequence[str]) -> list[str]:
    """Write `--teacher NAME` as `--teacher.architecture NAME`, and other short forms likewise."""
    return [_spell_out(word) for word in arguments]


def _spell_out(word: str) -> str:
    if word == UNTRAINED:
        return f"--teacher.{UNTRAINED.removeprefix('--')}"
    flag, equals, value = word.partition("=")
    return f"{flag}.architecture{equals}{value}" if flag in NETWORKS else word


def check_length_flag(command: str, arguments: Sequence[str]) -> None:
    """Check that nobody looks for the length of a run under --budget, which no command has.

    Raises:
        SettingsError: it was typed.
    """
    if command in HOW_LONG and any(word.partition("=")[0] == "--budget" for word in arguments):
        raise SettingsError(f"no flag of {command} is called --budget; did you mean {HOW_LONG[command]}?")
