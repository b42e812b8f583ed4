"""The toy, from its points to its pictures, through both sources."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import kl_div, log_softmax, softmax

import beliefmatch.studies.toy as module
from beliefmatch.errors import FolderError
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes import toy
from beliefmatch.recipes.setup import Setup
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies import sweep
from beliefmatch.studies.toy import ANIMATION_FILE, STILL_FILE, Through, run_toy
from beliefmatch.training.loop import run_round
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import run
from conftest import Command
from tiny import begin

PLANE_TEACHER = f"{__file__}:make_teacher"


def make_teacher() -> torch.nn.Module:
    """A network that knows three classes in the plane."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return torch.nn.Sequential(torch.nn.Linear(2, 20), torch.nn.Tanh(), torch.nn.Linear(20, 3))


THROUGH = [
    "generator",
    *(pytest.param(name, marks=pytest.mark.long) for name in get_args(Through) if name != "generator"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small gain nothing from two threads, and wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train teachers briefly and measure coarsely."""
    monkeypatch.setattr(module, "NUM_EPOCHS", 1)
    monkeypatch.setattr(module, "MEASURED_SIDE", 31)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing."""
    for name in ("write_animation", "write_still"):
        monkeypatch.setattr(module, name, lambda *_, **__: None)


def options(folder: Path, *, resume: bool = False) -> RunOptions:
    return RunOptions(folder=folder, accelerator="cpu", checkpoint_every=2, resume=resume)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("through", THROUGH)
def test_it_measures_and_draws(tmp_path: Path, through: Through) -> None:
    folder = RunFolder(tmp_path / "toy")
    found = run_toy(options(folder.path), seed=0, rounds=4, through=through)
    result = folder.read_result()
    assert (result.teacher_accuracy, result.student_accuracy) == (found.teacher_accuracy, found.student_accuracy)
    assert result.agreement == found.agreement
    assert found.teacher_accuracy > 0.7
    assert json.loads(folder.run.read_text())["settings"]["transfer"]["inputs"]["shape"] == [2]
    with Image.open(folder.path / ANIMATION_FILE) as film:
        assert getattr(film, "n_frames", 1) == 4
    with Image.open(folder.path / STILL_FILE) as still:
        assert still.width > 2 * still.height
    with pytest.raises(FolderError, match="already holds a run: add resume=True"):
        run_toy(options(folder.path), seed=0, rounds=4, through=through)


@pytest.mark.usefixtures("quick", "undrawn")
@pytest.mark.parametrize("through", THROUGH)
def test_one_that_was_stopped_continues_bit_for_bit(tmp_path: Path, through: Through) -> None:
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    expected = run_toy(options(whole.path), seed=1, rounds=6, through=through)

    def stop(completed: int, _row: object) -> None:
        if completed == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_toy(options(stopped.path), seed=1, rounds=6, through=through, observer=stop)
    teacher = (stopped.path / TEACHER_FILE).read_bytes()
    found = run_toy(options(stopped.path, resume=True), seed=1, rounds=6, through=through)
    assert found.agreement == expected.agreement
    assert stopped.student.read_bytes() == whole.student.read_bytes()
    assert (stopped.path / TEACHER_FILE).read_bytes() == teacher
    last = "round_000006.npz"
    with np.load(whole.pseudo / last) as first, np.load(stopped.pseudo / last) as second:
        assert np.array_equal(first["points"], second["points"])


def test_a_short_run_brings_the_student_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUM_EPOCHS", 8)
    folder = tmp_path / "toy"
    found = run_toy(RunOptions(folder=folder, accelerator="cpu", picture_every=8), seed=0, rounds=24)
    with np.load(folder / "pseudo" / "round_000008.npz") as file:
        before = float((file["teacher"] == file["student"]).mean())
    assert found.teacher_accuracy > 0.9
    assert found.agreement > max(before, 0.9)


@pytest.mark.usefixtures("quick", "undrawn")
def test_it_holds_no_points_during_the_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    for watched_module, name in ((module, "draw_toy"), (sweep, "run")):
        real = getattr(watched_module, name)

        def watched(*arguments: object, _name: str = name, _real: object = real, **named: object) -> object:
            events.append(f"{_name} begins")
            result = _real(*arguments, **named)  # pyright: ignore[reportCallIssue]
            events.append(f"{_name} ends")
            return result

        monkeypatch.setattr(watched_module, name, watched)
    run_toy(options(tmp_path / "toy"), seed=0, rounds=1)
    draws = ["draw_toy begins", "draw_toy ends"]
    assert events == [*draws, "run begins", "run ends", *draws]


def test_a_round_of_free_points_is_the_notebooks() -> None:
    transfer = toy(
        Setup(teacher=Network(architecture=PLANE_TEACHER), student=NamedStudent(architecture="mlp_16"), rounds=9)
    )
    transfer, state, teacher, fabric = begin(transfer, "64-true")
    student = type(state.student)((16,), in_channels=2, num_classes=3).double()
    student.load_state_dict(state.student.state_dict())
    free = state.source.points.free.detach().clone().requires_grad_()
    run_round(transfer, state, teacher, fabric)

    def divergence() -> torch.Tensor:
        points = 6 * torch.sigmoid(free) - 3
        beliefs = softmax(teacher.module(points), dim=1)
        return kl_div(log_softmax(student(points), dim=1), beliefs, reduction="none").mean()

    points_optimiser = torch.optim.Adam([free], lr=1e-3, eps=1e-8 / 3)  # The mean over classes is a third of ours.
    for _ in range(50):
        points_optimiser.zero_grad()
        (-divergence()).backward()
        assert free.grad is not None
        free.grad.clamp_(-3, 3)
        points_optimiser.step()
    student_optimiser = torch.optim.Adam(student.parameters(), lr=1e-3)
    for _ in range(10):
        student_optimiser.zero_grad()
        divergence().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 3)
        student_optimiser.step()
    torch.testing.assert_close(state.source.points.free.detach(), free.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(state.student.state_dict(), student.state_dict(), rtol=1e-9, atol=1e-9)


def test_points_stay_within_their_bound() -> None:
    source = FreePoints(point_steps=2, bound=0.5, start_mean=-9.0, learning_rate=5.0)
    transfer = toy(Setup(teacher=Network(architecture=PLANE_TEACHER), rounds=5), source=source)
    transfer, state, teacher, fabric = begin(transfer)
    for _ in range(5):
        run_round(transfer, state, teacher, fabric)
        assert state.source.points().abs().max() <= 0.5


def test_two_processes_move_the_points_of_one(command: Command, tmp_path: Path) -> None:
    weights = tmp_path / "teacher.safetensors"
    save_file(make_network("mlp_20", in_channels=2, num_classes=3).state_dict(), weights)
    command(
        *("transfer", "toy", "--teacher.architecture", "mlp_20", "--teacher.weights", weights),
        *("--teacher.num-classes", 3, "--student.architecture", "mlp_16", "--rounds", 3, "--batch-size", 8),
        *("--precision", "64-true", "--accelerator", "cpu", "--devices", 2, "--folder", "two"),
    )
    transfer = toy(
        Setup(
            teacher=Network(architecture="mlp_20", weights=weights, num_classes=3),
            student=NamedStudent(architecture="mlp_16"),
            rounds=3,
            batch_size=8,
        )
    )
    run(transfer, RunOptions(folder=tmp_path / "one", accelerator="cpu", precision="64-true"))
    one, two = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["state"]["source"]["points"]["free"]
        for name in ("one", "two")
    )
    assert two.shape == (8, 2)
    torch.testing.assert_close(two, one, rtol=1e-10, atol=1e-12)
