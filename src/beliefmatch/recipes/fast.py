"""Fast, with its released settings for wide residual networks on CIFAR-10."""

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.fast import Fast
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 200


def fast(
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
    source: Fast = Fast(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(learning_rate=0.2),
    seed: int = 0,
) -> Transfer:
    """Fast: Fang et al. 2022. A meta generator from which ten steps lead to any batch.

    Published as Fast-10, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 94.05 %, WRN-40-2 ->
    WRN-16-1 89.29 %, -> WRN-40-1 92.51 %, -> WRN-16-2 92.45 %; with two steps (--source.making-steps 2
    --source.learning-rate 5e-3 --source.latent-learning-rate .015) 92.62, 88.36, 89.56 and 89.68 %. Generation for
    WRN-16-1 took .15 hours (.03 with two steps) on one GPU; the 80,000 student steps come besides.

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
        budget: Fraction of the paper's rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "fast",
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
