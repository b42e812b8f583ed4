"""Texts that a file from somebody else may hold where a name is expected, and what must come of them.

Whatever runs as code leaves a canary: a file in the working directory.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.cli import main

CANARY = "CANARY"
COMMAND = f"touch {CANARY}"
CODE = f"__import__('os').system('{COMMAND}')"
TEXTS = {
    "getattr": f'a", getattr(__import__("os"), "system")("{COMMAND}")) or getattr(self, "a',
    "expression": CODE,
    "default": f"x={CODE}, y",
    "quotes": 'it\'s "quoted" \'\'\' """ \\',
    "newlines": f"x\n    {CODE}\r\n{CODE}\n#",
    "braces": "{self.__class__.__init__.__globals__} {0} {{}} }{",
    "format specifiers": "%s %(name)s %n ${HOME} $(touch CANARY) `touch CANARY`",
    "terminal escapes": "\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2J\x9b2J\x08\x7f\u202egnp.exe",
    "markup": "[bold red]x[/] [link=https://example.org]y[/link] <script>z</script>",
}
"""By kind: what each tries to break out of, or into."""
KINDS = list(TEXTS)
NO_FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a link to a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}
"""By kind: what makes something that is no regular file at a path."""


def outcome(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run the command in this process: its exit code, and its one line of error where there is one.

    It must end well or with one line that a terminal only shows, and nothing may have run.
    """
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert not Path(CANARY).exists(), "code of a file ran"
    assert "Traceback" not in err
    assert not [letter for letter in out + err if not letter.isprintable() and letter != "\n"]
    assert code in (0, 2), err
    errors = [line for line in err.splitlines() if line.startswith("beliefmatch: error: ")]
    assert len(errors) == (code == 2), err
    if code == 2:
        assert err.endswith(f"{errors[0]}\n")
    return code, errors[0] if errors else ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Yield where texts stand in JSON values, and whether each is a key."""
    if isinstance(value, str):
        yield path, False
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(key, str):
            yield (*path, key), True
        yield from places(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], text: str, *, is_key: bool) -> None:
    """Replace a text in JSON values, in place."""
    for key in path[:-1]:
        value = value[key]
    if is_key:
        value[text] = value.pop(path[-1])
    else:
        value[path[-1]] = text
