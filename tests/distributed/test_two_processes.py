"""Two processes with half the batch each train what one process trains.

That holds for networks without batch-norm. With batch-norm each process normalises by the statistics of its own half
of the batch, so the result differs from that of one process; the running statistics are averaged after every round, so
that the processes never drift apart. Both are shown here.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from beliefmatch.cli import main
from beliefmatch.runs.folder import RunFolder
from conftest import Command
from own_process import KillAfterWrite, start_together
from tiny import named

ON_CPU = ("--batch-size", "8", "--precision", "64-true", "--accelerator", "cpu")
VECTOR = (
    *("--teacher.architecture", named("make_mlp_teacher"), "--student.architecture", named("make_mlp_student")),
    *("--shape", "12", *ON_CPU),
)
IMAGES = (
    *("--teacher.architecture", named("make_plain_conv"), "--student.architecture", named("make_plain_conv")),
    "--allow-untrained",
    *("--shape", "1", "8", "8", "--mean", ".3", "--std", ".4", "--student.start", "fresh", *ON_CPU),
)
REFINED = (
    *("--source.refined-fraction", ".5", "--source.crossed-fraction", ".25", "--source.terms.statistics", "0"),
    *("--source.made-batch", "16", "--source.crossing-steps", "2"),
    *("--source.student-steps", "3", "--source.making-steps", "3", "--source.warm-up", "1"),
)


def check_equal_to_one(words: tuple[str, ...], folder: Path) -> None:
    """Compare what two processes left in "two" with what one makes in this process."""
    assert main(["transfer", *words, "--display", "quiet", "--folder", str(folder / "one")]) == 0
    one, two = (load_file(folder / name / "student.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-10, atol=1e-12)
    rows = [json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[-1]) for name in ("one", "two")]
    assert rows[1]["student_loss"] == pytest.approx(rows[0]["student_loss"], rel=1e-9)


@pytest.mark.parametrize(
    "words",
    [
        ("zero_shot", *VECTOR, "--rounds", "3"),
        ("best", *VECTOR, "--rounds", "2"),
        ("best", *IMAGES, "--rounds", "2", *REFINED),
    ],
    ids=["generator", "a procedural pool", "a procedural pool, refined and crossed"],
)
def test_without_batch_norm_two_processes_equal_one(words: tuple[str, ...], command: Command, tmp_path: Path) -> None:
    done = command("transfer", *words, "--devices", 2, "--folder", "two")
    check_equal_to_one(words, tmp_path)
    assert done.stdout.count("the student is in") == 1, "only the first process speaks"


@pytest.mark.long
def test_the_command_launches_the_second_process_itself(tmp_path: Path) -> None:
    words = ("zero_shot", *VECTOR, "--rounds", "1")
    launched = [sys.executable, "-m", "beliefmatch", "transfer", *words, "--devices", "2", "--folder", "two"]
    done = subprocess.run(launched, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the student is in") == 1, "only the first process speaks"
    check_equal_to_one(words, tmp_path)


def test_with_batch_norm_it_resumes_after_a_kill_bit_for_bit(command: Command, tmp_path: Path) -> None:
    conv = (
        *("transfer", "digits", "--teacher.architecture", named("make_conv_teacher")),
        *("--student.architecture", named("make_dropout_student")),
        *("--rounds", "6", "--batch-size", "8", "--source.noise-size", "6", "--accelerator", "cpu", "--devices", "2"),
        *("--checkpoint-every", "2"),
    )
    command(*conv, "--folder", "whole")
    killed = RunFolder(tmp_path / "killed")
    log = tmp_path / "log"
    # The first process dies as soon as its second checkpoint is there, and the other one with it.
    first, second = start_together(
        *conv,
        "--folder",
        "killed",
        log=log,
        errors=log,
        folder=tmp_path,
        fate=KillAfterWrite("checkpoint.pt", 2),
        count=2,
    )
    first.join()
    second.kill()
    second.join()
    assert first.exitcode == -signal.SIGKILL, log.read_text()
    assert killed.checkpoint.exists()
    assert not killed.result.exists(), "it ended before it was killed"
    command(*conv, "--folder", "killed", "--resume")
    assert killed.student.read_bytes() == (tmp_path / "whole" / "student.safetensors").read_bytes()


def test_a_batch_that_cannot_be_shared_is_refused(command: Command, tmp_path: Path) -> None:
    done = command("transfer", "zero_shot", *VECTOR, "--batch-size", 7, "--devices", 2, "--folder", "odd", code=2)
    assert "a batch of 7 cannot be shared evenly by 2 processes; try --batch-size 8" in done.stderr
    assert not (tmp_path / "odd").exists()
