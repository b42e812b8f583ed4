"""Distillation on unlabelled images of any kind."""

from pathlib import Path

from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 8000
"""Ours: as many student steps as the DataFree benchmark takes."""


def unlabelled(
    *,
    teacher: Network,
    student: NamedStudent,
    images: Path,
    augmentation: Augmentation | None = None,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 256,
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
    seed: int = 0,
) -> Transfer:
    """Distillation on images that need not be of the teacher's classes, such as photographs of anything.

    Nothing is published for these settings, which are ours. A round costs ten student steps; the teacher runs in each
    only where images are augmented. This is not data-free, but needs no data that the teacher was trained on.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        images: File .npz with an array images (n, height, width, channels) uint8, or a folder of image files. They may
            show anything; labels are not read, and other sizes are resized.
        augmentation: Default: crop_flip on CIFAR-10, none on SVHN and for a shape of your own.
        dataset: What the teacher was trained on: sets the normalisation and the augmentation.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of ten student steps. Default: 8000, times the budget.
        budget: Fraction of the usual rounds to do, for small machines. The result says it.
        batch_size: Examples a batch, over all devices together.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights, of draws and of augmentation.
    """
    return assemble(
        "unlabelled",
        teacher=teacher,
        student=student,
        dataset=dataset,
        shape=shape,
        mean=mean,
        std=std,
        source=Unlabelled(images=images, augmentation=augmentation),
        objective=objective,
        rounds=rounds,
        usual_rounds=NUM_ROUNDS,
        budget=budget,
        batch_size=batch_size,
        optimiser=optimiser,
        seed=seed,
    )
