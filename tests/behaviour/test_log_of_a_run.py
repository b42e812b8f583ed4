"""What the log of a run says: that the student is larger than its teacher, and what is done around the rounds."""

from pathlib import Path

import pytest

from beliefmatch.cli import main
from tiny import named


@pytest.mark.parametrize("larger", [True, False])
def test_a_student_larger_than_its_teacher_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, larger: bool
) -> None:
    names = ("make_mlp_student", "make_mlp_teacher") if larger else ("make_mlp_teacher", "make_mlp_student")
    teacher, student = (["--teacher", named(names[0])], ["--student", named(names[1])])
    words = ["--shape", "12", "--rounds", "1", "--batch-size", "2", "--folder", str(tmp_path / "run")]
    assert main(["transfer", "noise", *teacher, *student, *words]) == 0
    assert ("the student is larger than its teacher (746 parameters" in caplog.text) == larger


def test_a_run_says_what_it_does_before_and_after_its_rounds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    words = ["--shape", "12", "--rounds", "1", "--batch-size", "2", "--folder", str(tmp_path / "run")]
    networks = ["--teacher", named("make_mlp_teacher"), "--student", named("make_mlp_student")]
    assert main(["transfer", "noise", *networks, *words]) == 0
    assert [text.partition(":")[0] for text in caplog.messages if text.startswith("preflight")] == ["preflight"]
    assert "measuring the latency of both networks, one example at a time" in caplog.messages


def test_a_run_says_when_its_first_round_takes_longer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    words = ["--shape", "12", "--rounds", "1", "--batch-size", "2", "--source.student-steps", "1"]
    networks = ["--teacher", named("make_mlp_teacher"), "--student", named("make_mlp_student")]
    for warm_up in (0, 3):
        caplog.clear()
        more = ["--source.warm-up", str(warm_up), "--folder", str(tmp_path / str(warm_up))]
        assert main(["transfer", "best", *networks, *words, *more]) == 0
        said = "the first round makes 3 more batches of inputs than others do" in caplog.messages
        assert said == (warm_up == 3)
