"""The demo: train a teacher on real digits, let go of the data, transfer without it, measure on images held back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from beliefmatch.data.digits import read_digits
from beliefmatch.functional.augmentation import random_affine
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.measurement.run import measure_run
from beliefmatch.networks.examples import LabelledImages
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.recipes.digits import TEACHER_ARCHITECTURE, digits
from beliefmatch.recipes.setup import Setup
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.studies.sweep import Cell, followed_by, sweep
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Observer
from beliefmatch.training.transfer import Transfer

HELD_BACK = "digits that were held back"
NUM_EPOCHS = 40
LEARNING_RATE = 5e-3


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo found."""

    measurement: Measurement
    teacher_seconds: float
    """Time to train the teacher; 0 where a resumed demo found it trained."""


def run_demo(
    options: RunOptions, *, seed: int, rounds: int | None = None, observer: Observer | None = None
) -> DemoResult:
    """Run the demo in a folder, or continue it there: a sweep of one cell and one seed.

    Raises:
        BeliefMatchError: see `training.run.run`.
    """
    cell = demo_cell(options, folder=lambda _seed: options.folder, rounds=rounds)
    (row,) = sweep([cell], [seed], follow=followed_by(observer))
    (outcome,) = row.outcomes
    assert outcome.measured is not None, "a run that came to its end is measured"
    return DemoResult(measurement=outcome.measured, teacher_seconds=outcome.teacher_seconds)


def demo_cell(
    options: RunOptions, *, folder: Callable[[int], Path], rounds: int | None = None, name: str = "demo"
) -> Cell[Measurement]:
    """Build the cell of the demo.

    The data is read before the transfer to train the teacher, and after it to measure. Between, nothing holds it.

    Args:
        options: of each demo.
        folder: names the run folder of a seed.
        rounds: of the transfer; None for the recipe's.
        name: of the cell.
    """
    # 16 bits cost these small networks some accuracy, and save them little.
    precision = "32-true" if options.precision == "auto" else options.precision

    def transfer(seed: int) -> Transfer:
        teacher = Network(architecture=TEACHER_ARCHITECTURE, weights=folder(seed) / TEACHER_FILE)
        return digits(Setup(teacher=teacher, seed=seed, rounds=rounds))

    return Cell(
        name=name,
        transfer=transfer,
        folder=folder,
        options=replace(options, precision=precision),
        measure=lambda run_folder, _transfer: measure_run(run_folder, read_digits()[1], name=HELD_BACK, trust_code=()),
        train_teacher=lambda _seed: train_teacher(read_digits()[0]),
    )


def train_teacher(data: LabelledImages) -> nn.Module:
    """Train a batch-norm convnet on digits with their labels (AdamW, one cycle, small affine changes); seconds.

    The settings were chosen by four-fold cross-validation on the training images alone.
    """
    inputs = DIGITS.from_pixels(data.images)
    background = float(inputs.min())
    network = make_network(TEACHER_ARCHITECTURE, in_channels=1, num_classes=10)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    batch_size = 64
    num_steps = NUM_EPOCHS * -(-len(inputs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=num_steps)
    for _ in range(NUM_EPOCHS):
        for chosen in torch.randperm(len(inputs)).split(batch_size):
            logits = network(random_affine(inputs[chosen], background))
            cross_entropy(logits, data.labels[chosen]).backward()
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    return network
