"""A command that loads networks several times says each fact about them once."""

import logging
from pathlib import Path

import pytest

from beliefmatch import compress
from beliefmatch.cli import main
from beliefmatch.log_once import each_message_once, log_once
from tiny import named

logger = logging.getLogger("beliefmatch.example")


def test_a_fact_is_written_once_within_a_command_and_again_in_the_next(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with each_message_once():
            for number in (1, 1, 2):
                log_once(logger, logging.WARNING, "the network has %d outputs", number)
                with each_message_once():
                    log_once(logger, logging.WARNING, "the network has %d outputs", number)
    assert caplog.messages == ["the network has 1 outputs", "the network has 2 outputs"] * 2
    log_once(logger, logging.WARNING, "100 %")
    log_once(logger, logging.WARNING, "100 %")
    assert caplog.messages[4:] == ["100 %"] * 2


def test_what_a_level_left_out_is_written_later(caplog: pytest.LogCaptureFixture) -> None:
    with each_message_once():
        with caplog.at_level(logging.ERROR, "beliefmatch.example"):
            log_once(logger, logging.WARNING, "a fact")
        log_once(logger, logging.WARNING, "a fact")
    assert caplog.messages == ["a fact"]


SMALL = ("--shape", "1", "8", "8", "--rounds", "1", "--batch-size", "4", "--recipe", "noise")


def test_no_line_of_compress_stands_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = (named("make_conv_teacher"), "--student", named("make_plain_conv"), "--folder", str(tmp_path / "run"))
    with caplog.at_level(logging.INFO):
        assert main(["compress", *words, *SMALL]) == 0
    assert any("are taken as logits" in message for message in caplog.messages)
    assert len(caplog.messages) == len(set(caplog.messages))


def test_no_line_of_one_call_stands_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        compress(
            named("make_conv_teacher"),
            named("make_plain_conv"),
            shape=(1, 8, 8),
            recipe="noise",
            rounds=1,
            batch_size=4,
            folder=tmp_path / "run",
            progress=False,
        )
    assert any("are taken as logits" in message for message in caplog.messages)
    assert len(caplog.messages) == len(set(caplog.messages))


@pytest.mark.long
def test_no_line_of_a_comparison_stands_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    networks = ("--teacher", named("make_conv_teacher"), "--student", named("make_plain_conv"))
    small = ("--shape", "1", "8", "8", "--minutes", "0.005", "--batch-size", "4", "--accelerator", "cpu")
    with caplog.at_level(logging.INFO):
        words = ("noise", "zero_shot", *networks, *small, "--seeds", "0", "1", "--folder", str(tmp_path / "compared"))
        assert main(["compare", *words]) == 0
    assert any(message.startswith("preflight") for message in caplog.messages)
    assert any(message.startswith("too few rounds") for message in caplog.messages)
    assert len(caplog.messages) == len(set(caplog.messages))
