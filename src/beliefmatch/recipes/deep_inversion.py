"""DeepInversion, with the settings of the DataFree benchmark for CIFAR-10."""

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 200


def deep_inversion(
    *,
    teacher: Network,
    student: NamedStudent,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 256,
    source: DeepInversion = DeepInversion(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
    seed: int = 0,
) -> Transfer:
    """DeepInversion: Yin et al. 2020. Inputs optimised directly until the teacher sees what it remembers.

    Published by the DataFree benchmark, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 93.26 %,
    WRN-40-2 -> WRN-16-1 83.04 %, -> WRN-40-1 86.85 %, -> WRN-16-2 89.72 %. A batch takes 1000 steps through both
    networks, so 200 rounds cost about as much as 200,000 generator steps: many hours on one GPU.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation and the augmentation. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of one batch made and 400 student steps. Default: 200, times the budget.
        budget: Fraction of the benchmark's rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "deep_inversion",
        teacher=teacher,
        student=student,
        dataset=dataset,
        shape=shape,
        mean=mean,
        std=std,
        source=source,
        objective=objective,
        rounds=rounds,
        usual_rounds=NUM_ROUNDS,
        budget=budget,
        batch_size=batch_size,
        optimiser=optimiser,
        seed=seed,
    )
