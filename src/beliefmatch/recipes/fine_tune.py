"""Few-shot fine-tuning of a student that was made without data: Micaelli & Storkey 2019, figure 2."""

from dataclasses import replace
from pathlib import Path

from beliefmatch.errors import SettingsError
from beliefmatch.functional.augmentation import Augmentation
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.taps import parse_taps
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.datasets import Dataset, choose_augmentation, choose_inputs
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_STEPS = 300


def fine_tune(
    *,
    teacher: Network,
    student: NamedStudent,
    images: Path,
    images_per_class: int | None = None,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    augmentation: Augmentation | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 128,
    objective: Distillation = Distillation(label_weight=0.1, divergence_weight=1.0, temperature=1.0),
    taps: tuple[str, ...] | None = None,
    student_learning_rate: float = 3e-3,
    student_gradient_clip: float = 5.0,
    freeze_batch_norm: bool = True,
    seed: int = 0,
) -> Transfer:
    """Fine-tune a student that a data-free run made, on M real images of each class.

    Args:
        teacher: The student's teacher.
        student: The student, with its weights, such as student.safetensors in the folder of a run.
        images: File .npz to train on: an array images (n, height, width, channels) uint8, or inputs (n, *shape) of
            numbers as the teacher takes them, and labels (n,) integers.
        images_per_class: M, real examples of each class; a fresh subset for each seed. Default: all.
        dataset: What the teacher was trained on: sets normalisation and augmentation.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        augmentation: Default: crop_flip on CIFAR-10, none on SVHN and for a shape of your own.
        rounds: Rounds, each one step. Default: 300, times the budget.
        budget: Fraction of the usual rounds to do, for small machines. The result says it.
        batch_size: Examples a batch, over all devices together.
        objective: What the student matches.
        taps: Activations for attention transfer, as TEACHER_MODULE=STUDENT_MODULE; one name if they are called alike.
            Default: those that both architectures declare, or else the last of each resolution that both reach.
        student_learning_rate: Adam's learning rate, falling to 0 by a cosine over all rounds.
        student_gradient_clip: Largest L2 norm of the student's gradient.
        freeze_batch_norm: Keep the statistics that the student's batch-norm layers have, in training as in use;
            otherwise each batch is normalised by its own, and the running ones follow.
        seed: Of the subset, of order and augmentation.

    Raises:
        SettingsError: the student has no weights to start from.
    """
    if student.weights is None:
        raise SettingsError(
            "there is nothing to fine-tune: name the student's weights with --student.weights RUN/student.safetensors"
        )
    return Transfer(
        recipe="fine_tune",
        teacher=teacher,
        inputs=choose_inputs(dataset, shape, mean, std, teacher.known_inputs()),
        student=student,
        source=FewShot(
            images=images,
            images_per_class=images_per_class,
            augmentation=choose_augmentation(augmentation, dataset, shape),
        ),
        objective=replace(objective, taps=parse_taps(taps)),
        rounds=scaled(NUM_STEPS, budget) if rounds is None else rounds,
        usual_rounds=NUM_STEPS,
        batch_size=batch_size,
        student_optimiser=Adam(learning_rate=student_learning_rate, gradient_clip=student_gradient_clip),
        freeze_batch_norm=freeze_batch_norm,
        seed=seed,
    )
