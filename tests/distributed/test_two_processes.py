"""Two processes with half the batch each train what one process trains.

That holds for networks without batch-norm. With batch-norm each process normalises by the statistics of its own half
of the batch, so the result differs from that of one process; the running statistics are averaged after every round, so
that the processes never drift apart. Both are shown here.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from beliefmatch.cli import main
from beliefmatch.runs.folder import RunFolder
from conftest import Command
from tiny import named

ON_CPU = ("--batch-size", "8", "--precision", "64-true", "--accelerator", "cpu")
VECTOR = (
    *("--teacher.architecture", named("make_mlp_teacher"), "--student.architecture", named("make_mlp_student")),
    *("--shape", "12", *ON_CPU),
)
IMAGES = (
    *("--teacher.architecture", named("make_plain_conv"), "--student.architecture", named("make_plain_conv")),
    *("--shape", "1", "8", "8", "--mean", ".3", "--std", ".4", "--student.start", "fresh", *ON_CPU),
)
REFINED = (
    *("--source.refined-fraction", ".5", "--source.terms.statistics", "0"),
    *("--source.student-steps", "3", "--source.making-steps", "3", "--source.warm-up", "1"),
)


@pytest.mark.parametrize(
    "words",
    [
        ("zero_shot", *VECTOR, "--rounds", "6"),
        ("best", *VECTOR, "--rounds", "3"),
        ("best", *IMAGES, "--rounds", "3", *REFINED),
    ],
    ids=["generator", "textures", "refined textures in a pool"],
)
def test_without_batch_norm_two_processes_equal_one(words: tuple[str, ...], command: Command, tmp_path: Path) -> None:
    assert main(["transfer", *words, "--display", "quiet", "--folder", str(tmp_path / "one")]) == 0
    done = command("transfer", *words, "--devices", 2, "--folder", "two")
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-10, atol=1e-12)
    rows = [json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1]) for name in ("one", "two")]
    assert rows[1]["student_loss"] == pytest.approx(rows[0]["student_loss"], rel=1e-9)
    assert done.stdout.count("the student is in") == 1, "only the first process speaks"


def test_with_batch_norm_it_resumes_after_a_kill_bit_for_bit(command: Command, tmp_path: Path) -> None:
    conv = (
        "digits",
        *("--teacher.architecture", named("make_conv_teacher")),
        *("--student.architecture", named("make_dropout_student")),
        *("--rounds", 12, "--batch-size", 8, "--source.noise-size", 6, "--accelerator", "cpu", "--devices", 2),
        *("--checkpoint-every", 3),
    )
    command("transfer", *conv, "--folder", "whole")
    killed = RunFolder(tmp_path / "killed")
    words = ["-m", "beliefmatch", "transfer", *map(str, conv), "--folder", str(killed.path)]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not killed.checkpoint.exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not killed.result.exists(), "it ended before it was killed"
    command("transfer", *conv, "--folder", "killed", "--resume")
    assert killed.student.read_bytes() == (tmp_path / "whole" / "student.safetensors").read_bytes()


def test_a_batch_that_cannot_be_shared_is_refused(command: Command, tmp_path: Path) -> None:
    done = command("transfer", "zero_shot", *VECTOR, "--batch-size", 7, "--devices", 2, "--folder", "odd", code=2)
    assert "a batch of 7 cannot be shared evenly by 2 processes; try --batch-size 8" in done.stderr
    assert not (tmp_path / "odd").exists()
