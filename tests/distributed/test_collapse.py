"""Two processes that collapse begin again together."""

from pathlib import Path

import pytest

from beliefmatch.runs.folder import RunFolder
from collapsing import ROUNDS, named
from conftest import Command


@pytest.mark.long
def test_both_processes_begin_again(command: Command, tmp_path: Path) -> None:
    words = (
        *("transfer", "digits", "--teacher.architecture", named("make_teacher")),
        *("--student.architecture", named("make_unlucky"), "--optimiser.learning-rate", "1e-9"),
        *("--source.generator", named("make_generator"), "--source.learning-rate", "1e-9"),
        *("--source.noise-size", 6, "--source.student-steps", 10, "--rounds", ROUNDS, "--batch-size", 32),
        *("--accelerator", "cpu", "--devices", 2, "--on-collapse", "restart", "--folder", "run"),
    )
    done = command(*words)
    assert done.stderr.count("Beginning again (restart 1 of 3)") == 1
    folder = RunFolder(tmp_path / "run")
    assert [(each.kind, each.action) for each in folder.read_collapses()] == [("one_class", "restart")]
    assert folder.read_result().rounds == ROUNDS
    assert len(folder.read_metrics()) == ROUNDS
