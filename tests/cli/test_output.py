"""What commands write besides their results."""

import logging
from collections.abc import Iterator

import pytest

from beliefmatch.cli import COMMANDS, main
from beliefmatch.training.progress import Display


@pytest.fixture
def root_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("root_level")
@pytest.mark.parametrize(
    ("display", "level"), [("full", logging.INFO), ("quiet", logging.WARNING), ("json", logging.WARNING)]
)
@pytest.mark.parametrize("name", ["measure", "inspect"])
def test_the_log_of_every_command_follows_its_display(
    name: str, display: Display, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def command(*, display: Display = "full") -> None:
        del display
        seen.append(logging.getLogger().level)

    monkeypatch.setitem(COMMANDS, name, command)
    assert main([name, "--display", display]) == 0
    assert seen == [level]
