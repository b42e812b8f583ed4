"""Inputs of any shape: signals, images of odd sizes and channels, vectors; and a generator of the user's own."""

from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch import NamedStudent, Network, RunOptions, load_student, run
from beliefmatch.cli import main
from beliefmatch.recipes import zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.adversarial import Adversarial
from tiny import named


def transfer(network: str, shape: tuple[int, ...], **source: Any) -> Any:
    return zero_shot(
        Setup(
            teacher=Network(architecture=named(network), allow_untrained=True),
            student=NamedStudent(architecture=named(network)),
            shape=shape,
            rounds=2,
            batch_size=4,
        ),
        source=Adversarial(noise_size=6, **source),
    )


@pytest.mark.parametrize(
    ("network", "shape", "num_classes"),
    [
        ("make_signal_network", (2, 33), 4),
        ("make_signal_network", (2, 2), 4),
        ("make_wide_network", (5, 12, 7), 3),
        ("make_mlp_teacher", (12,), 10),
    ],
)
def test_a_run_ends_with_a_student_of_such_inputs(
    tmp_path: Path, network: str, shape: tuple[int, ...], num_classes: int
) -> None:
    run(transfer(network, shape), RunOptions(folder=tmp_path / "run", accelerator="cpu"))
    student = load_student(tmp_path / "run", trust_code=True)
    assert student(torch.randn(3, *shape)).shape == (3, num_classes)


def test_a_generator_of_the_users_own_makes_the_inputs(tmp_path: Path) -> None:
    own = transfer("make_mlp_teacher", (12,), generator=named("make_vector_generator"))
    run(own, RunOptions(folder=tmp_path / "run", accelerator="cpu"))
    generator = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]["source"]["generator"]
    assert generator["0.weight"].shape == (12, 6)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (named("make_mlp_teacher"), "does not take noise of shape (2, 6)"),
        (named("make_tuple"), "makes tuple of noise (2, 6), expected (2, 12)"),
        ("vectors", "expected my_file.py:make_generator"),
    ],
)
def test_a_generator_that_does_not_fit_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], generator: str, message: str
) -> None:
    words = ["transfer", "zero_shot", "--folder", str(tmp_path / "run"), "--shape", "12", "--rounds", "1"]
    words += ["--teacher.architecture", named("make_mlp_teacher"), "--student.architecture", named("make_mlp_student")]
    assert main([*words, "--source.noise-size", "6", "--source.generator", generator]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
