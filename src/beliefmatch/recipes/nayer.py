"""NAYER, with its released settings for CIFAR-10 but for the text encoder."""

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.nayer import Nayer
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 300


def nayer(
    *,
    teacher: Network,
    student: NamedStudent,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 512,
    source: Nayer = Nayer(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(learning_rate=0.2),
    seed: int = 0,
) -> Transfer:
    """NAYER: Tran et al. 2024. A generator behind a noisy layer on label embeddings, trained for thirty steps a batch.

    Published for 300 epochs, best test accuracy over epochs on CIFAR-10 and not verified by others: ResNet-34 ->
    ResNet-18 95.21 %, WRN-40-2 -> WRN-16-1 91.94 %, -> WRN-40-1 94.15 %, -> WRN-16-2 94.07 %. Those used embeddings of
    class names by a text encoder; here they are one-hot, or learnt. 800 batches of thirty steps and 120,000 student
    steps: hours on one GPU.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation and the augmentation. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of two batches made and 400 student steps. Default: 300, times the budget.
        budget: Fraction of the paper's rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "nayer",
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
