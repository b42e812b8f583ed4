"""The paper's baselines: training and distilling on a few real images of each class."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.taps import parse_taps
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.optimisers import StepwiseSgd
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.datasets import USUAL, Dataset, choose_augmentation, choose_inputs
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

Method = Literal["no_teacher", "kd", "at", "kd_at"]

KL = 28.8 / 10
"""The released code averages the KL over the ten classes too: its 28.8 (2 x .9 x 4^2) is 2.88 for one example."""
ATTENTION = 1000.0

OBJECTIVES: dict[Method, Distillation] = {
    "no_teacher": Distillation(label_weight=1.0),
    "kd": Distillation(label_weight=0.1, divergence_weight=KL),
    "at": Distillation(label_weight=1.0, attention_weight=ATTENTION),
    "kd_at": Distillation(label_weight=0.1, divergence_weight=KL, attention_weight=ATTENTION),
}

CIFAR10_STEPS = 80_000
SVHN_EPOCHS = 7_325
NUM_CLASSES = 10
BATCH_SIZE = 128


def few_shot(
    *,
    teacher: Network,
    student: NamedStudent,
    images: Path,
    images_per_class: int | None = None,
    method: Method = "kd_at",
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    augmentation: Augmentation | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = BATCH_SIZE,
    taps: tuple[str, ...] | None = None,
    optimiser: StepwiseSgd = StepwiseSgd(),
    seed: int = 0,
) -> Transfer:
    """Few-shot baselines of Micaelli & Storkey 2019, figure 2: no teacher, KD, AT and KD+AT on M images of each class.

    Expected for WRN-40-2 -> WRN-16-1 on CIFAR-10 with M = 10, 25, 50, 75, 100: no teacher 25.8, 33.5, 44.9, 55.6,
    58.8 %; KD+AT 40.3, 57, 68, 72, 76 %, and 91.92 % with all images. The full 80,000 steps take about an hour on one
    GPU. This is not data-free: it is what data-free methods are compared with.

    Args:
        teacher: Trained network to learn from; without a teacher it is only compared with.
        student: Smaller network that learns.
        images: File .npz to train on: an array images (n, height, width, channels) uint8, or inputs (n, *shape) of
            numbers as the teacher takes them, and labels (n,) integers.
        images_per_class: M, real examples of each class; a fresh subset for each seed. Default: all.
        method: no_teacher (cross-entropy), kd, at, or kd_at.
        dataset: What the teacher was trained on: sets normalisation, augmentation and number of rounds.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        augmentation: Default: crop_flip on CIFAR-10, none on SVHN and for a shape of your own.
        rounds: Rounds, each one step. Default: 80000 on CIFAR-10; 7325 epochs of the subset on SVHN, but 80000 steps
            with all images; times the budget.
        budget: Fraction of the paper's rounds to do, for small machines. The result says it.
        batch_size: Examples a batch, over all devices together.
        taps: Activations for attention transfer, as TEACHER_MODULE=STUDENT_MODULE; one name if they are called alike.
            Default: those that both architectures declare, or else the last of each resolution that both reach.
        optimiser: Of the student.
        seed: Of fresh weights, of the subset, of order and augmentation.
    """
    published = _published_rounds(dataset, images_per_class, batch_size)
    return Transfer(
        recipe="few_shot",
        teacher=teacher,
        inputs=choose_inputs(dataset, shape, mean, std, teacher.known_inputs()),
        student=student,
        source=FewShot(
            images=images,
            images_per_class=images_per_class,
            augmentation=choose_augmentation(augmentation, dataset, shape),
        ),
        objective=replace(OBJECTIVES[method], taps=parse_taps(taps)),
        rounds=scaled(published, budget) if rounds is None else rounds,
        usual_rounds=published,
        batch_size=batch_size,
        student_optimiser=optimiser,
        seed=seed,
    )


def _published_rounds(dataset: Dataset | None, images_per_class: int | None, batch_size: int) -> int:
    if (dataset or USUAL) == "cifar10" or images_per_class is None:
        return CIFAR10_STEPS
    return SVHN_EPOCHS * -(-images_per_class * NUM_CLASSES // max(1, batch_size))
