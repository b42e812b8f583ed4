"""A student that is larger than its teacher compresses nothing, and the run says so."""

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
