"""The toy: train a teacher in the plane, match it without its points, measure agreement over a square, film the way."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from beliefmatch.data.toy import LabelledPoints, draw_toy
from beliefmatch.functional.classification import correct
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes import toy, toy_generator
from beliefmatch.recipes.setup import Setup
from beliefmatch.recipes.toy import ARCHITECTURE, NUM_ROUNDS
from beliefmatch.recipes.toy_generator import GENERATOR_ROUNDS
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from beliefmatch.studies.sweep import Cell, followed_by, sweep
from beliefmatch.studies.toy_pictures import (
    NUM_CLASSES,
    agreement_over_square,
    read_snapshots,
    write_animation,
    write_still,
)
from beliefmatch.training.options import RunOptions
from beliefmatch.training.pictures import plane_classes
from beliefmatch.training.run import Observer
from beliefmatch.training.transfer import Transfer

ANIMATION_FILE = "toy.gif"
STILL_FILE = "toy.png"

NUM_EPOCHS = 30
LEARNING_RATE = 1e-3
BATCH_SIZE = 50

MEASURED_SIDE = 301
"""Points along a side of the square over which agreement is measured."""
NUM_FRAMES = 40

Through = Literal["free_points", "generator"]
RECIPES: dict[Through, tuple[Callable[..., Transfer], int]] = {
    "free_points": (toy, NUM_ROUNDS),
    "generator": (toy_generator, GENERATOR_ROUNDS),
}


@dataclass(frozen=True, kw_only=True)
class ToyResult:
    """What the toy found. Fractions in [0, 1]."""

    teacher_accuracy: float
    """On points of the same kind that the teacher was not trained on."""
    student_accuracy: float
    agreement: float
    """Fraction of the square [-3, 3]^2 to which both networks give the same class."""


def num_rounds(through: Through) -> int:
    """Return the default rounds of the toy."""
    return RECIPES[through][1]


def run_toy(
    options: RunOptions,
    *,
    seed: int,
    rounds: int | None = None,
    through: Through = "free_points",
    observer: Observer | None = None,
) -> ToyResult:
    """Run the toy in a folder, or continue it there, and draw `toy.gif` and `toy.png`: one cell and one seed.

    Args:
        options: where, and on what; see `toy_cell`.
        seed: of the points, of fresh weights and of all noise.
        rounds: of the transfer, instead of the recipe's.
        through: where the pseudo points come from.
        observer: follows the transfer.

    Raises:
        BeliefMatchError: see `training.run.run`.
    """
    cell = toy_cell(options, folder=lambda _seed: options.folder, rounds=rounds, through=through)
    (row,) = sweep([cell], [seed], follow=followed_by(observer))
    (outcome,) = row.outcomes
    assert outcome.measured is not None, "a run that came to its end is measured"
    return outcome.measured


def toy_cell(
    options: RunOptions,
    *,
    folder: Callable[[int], Path],
    rounds: int | None = None,
    through: Through = "free_points",
    name: str = "toy",
) -> Cell[ToyResult]:
    """Build the cell of the toy.

    The points are drawn before the transfer to train the teacher, and after it to measure. Between, nothing holds them.

    Args:
        options: of each toy. By default it takes a picture for each of 40 frames.
        folder: names the run folder of a seed.
        rounds: of the transfer, instead of the recipe's.
        through: where the pseudo points come from.
        name: of the cell.
    """
    recipe, usual_rounds = RECIPES[through]
    rounds = usual_rounds if rounds is None else rounds

    def transfer(seed: int) -> Transfer:
        teacher = Network(architecture=ARCHITECTURE, weights=folder(seed) / TEACHER_FILE, num_classes=NUM_CLASSES)
        return recipe(Setup(teacher=teacher, seed=seed, rounds=rounds))

    return Cell(
        name=name,
        transfer=transfer,
        folder=folder,
        options=replace(
            options,
            picture_every=options.picture_every or max(rounds // NUM_FRAMES, 1),
            # Points of the plane lie too close for 16 bits, and networks this small gain nothing by them.
            precision="32-true" if options.precision == "auto" else options.precision,
        ),
        measure=lambda run_folder, transfer: _measure(run_folder, transfer.seed, with_trails=through == "free_points"),
        train_teacher=lambda seed: train_teacher(draw_toy(seed)[0]),
    )


def train_teacher(data: LabelledPoints) -> nn.Module:
    """Train the paper's multi-layer perceptron on labelled points, with the settings of its notebook; seconds."""
    network = make_network(ARCHITECTURE, in_channels=2, num_classes=NUM_CLASSES)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    for _ in range(NUM_EPOCHS):
        for chosen in torch.randperm(len(data)).split(BATCH_SIZE):
            cross_entropy(network(data.points[chosen]), data.labels[chosen]).backward()
            optimiser.step()
            optimiser.zero_grad()
    return network


def _measure(folder: RunFolder, seed: int, *, with_trails: bool) -> ToyResult:
    """Measure both networks, enter the numbers into result.json, and draw."""
    teacher, student = StoredRun(folder=folder, trust_code=()).load_pair()
    training, held_back = draw_toy(seed)
    regions = [plane_classes(network, MEASURED_SIDE) for network in (teacher.module, student)]
    found = ToyResult(
        teacher_accuracy=_accuracy(teacher.module, held_back),
        student_accuracy=_accuracy(student, held_back),
        agreement=agreement_over_square(*regions),
    )
    folder.change_result(lambda result: replace(result, **vars(found)))
    snapshots = read_snapshots(folder)
    write_animation(folder.path / ANIMATION_FILE, snapshots, with_trails=with_trails)
    write_still(folder.path / STILL_FILE, training, snapshots[-1].points, regions)
    return found


def _accuracy(network: nn.Module, data: LabelledPoints) -> float:
    with torch.no_grad():
        return correct(network(data.points), data.labels).double().mean().item()
