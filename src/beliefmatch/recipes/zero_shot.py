"""The paper's own recipe, with its settings for CIFAR-10 and SVHN."""

from dataclasses import replace

from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.taps import parse_taps
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.datasets import USUAL, Dataset, choose_inputs
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

ROUNDS: dict[Dataset, int] = {"cifar10": 80_000, "svhn": 50_000}

KL_OVER_CLASSES = 0.1
"""The released code averages the KL over the ten classes too; its attention weight and clip belong to that scale."""


def zero_shot(
    *,
    teacher: Network,
    student: NamedStudent,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 128,
    source: Adversarial = Adversarial(divergence_weight=KL_OVER_CLASSES),
    objective: BeliefMatching = BeliefMatching(divergence_weight=KL_OVER_CLASSES, attention_weight=250.0),
    taps: tuple[str, ...] | None = None,
    student_learning_rate: float = 2e-3,
    student_gradient_clip: float = 5.0,
    seed: int = 0,
) -> Transfer:
    """Zero-shot knowledge transfer exactly as Micaelli & Storkey 2019 released it.

    Expected, with all 80,000 rounds on CIFAR-10: 83.69 +- .58 % for WRN-40-2 -> WRN-16-1, 79.93 +- 1.11 % for
    WRN-40-1 -> WRN-16-1; with 50,000 on SVHN: 94.06 +- .27 % for WRN-40-2 -> WRN-16-1. The authors' run took 12.9 and
    10.2 hours on one GPU.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation and the number of rounds. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of one generator step and ten student steps. Default: 80000 (CIFAR-10) or 50000 (SVHN),
            times the budget.
        budget: Fraction of the paper's rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from. Its divergence weight is 1 / 10, for ten classes: the released code averages
            over classes. With another number of classes set both weights to 1 / classes.
        objective: What the student matches on them.
        taps: Activations for attention transfer, as TEACHER_MODULE=STUDENT_MODULE; one name if they are called alike.
            Default: those that both architectures declare, or else the last of each resolution that both reach.
        student_learning_rate: Adam's learning rate for the student, falling to 0 by a cosine over all rounds.
        student_gradient_clip: Largest L2 norm of the student's gradient.
        seed: Of fresh weights and of all noise.
    """
    published = ROUNDS[dataset or USUAL]
    inputs = choose_inputs(dataset, shape, mean, std, teacher.known_inputs())
    if taps is not None:
        objective = replace(objective, taps=parse_taps(taps))
    return Transfer(
        recipe="zero_shot",
        teacher=teacher,
        inputs=inputs,
        student=student,
        source=source,
        objective=objective,
        rounds=scaled(published, budget) if rounds is None else rounds,
        usual_rounds=published,
        batch_size=batch_size,
        student_optimiser=Adam(learning_rate=student_learning_rate, gradient_clip=student_gradient_clip),
        seed=seed,
    )
