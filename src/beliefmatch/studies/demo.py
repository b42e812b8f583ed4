"""The demo: train a teacher on real digits, let go of the data, transfer without it, measure on images held back."""

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from beliefmatch.data.digits import read_digits
from beliefmatch.functional.augmentation import random_affine
from beliefmatch.measurement.pair import Measurement
from beliefmatch.measurement.run import measure_run
from beliefmatch.networks.examples import LabelledImages
from beliefmatch.networks.inputs import DIGITS
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes.digits import NUM_ROUNDS, TEACHER_ARCHITECTURE, digits
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.studies.own_teacher import make_own_teacher
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Observer, run
from beliefmatch.training.run_folder import RunFolder

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
    """Run the demo in a folder, or continue it there.

    The data is read before the transfer to train the teacher, and after it to measure. Between, nothing holds it.

    Raises:
        BeliefMatchError: see `training.run.run`.
    """
    folder = RunFolder(options.folder)
    network = Network(architecture=TEACHER_ARCHITECTURE, weights=folder.path / TEACHER_FILE)
    transfer = digits(teacher=network, seed=seed, rounds=NUM_ROUNDS if rounds is None else rounds)
    teacher_seconds = make_own_teacher(
        folder, lambda: train_teacher(read_digits()[0]), seed=seed, resume=options.resume
    )
    # 16 bits cost these small networks some accuracy, and save them little.
    precision = "32-true" if options.precision == "auto" else options.precision
    run(transfer, replace(options, precision=precision), observer=observer, may_hold=(TEACHER_FILE,))
    held_back = read_digits()[1]
    return DemoResult(
        measurement=measure_run(folder, held_back, name=HELD_BACK, trust_code=()),
        teacher_seconds=teacher_seconds,
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
