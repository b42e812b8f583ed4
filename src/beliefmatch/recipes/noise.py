"""Noise as inputs: the baseline that any source should beat."""

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.noise import Noise
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 8000
"""Ours: as many student steps as the DataFree benchmark takes."""


def noise(
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
    source: Noise = Noise(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
    seed: int = 0,
) -> Transfer:
    """Distillation on noise alone, with which every data-free method should be compared.

    Nothing is published for these settings, which are ours. A round costs ten student steps and as many passes of the
    teacher.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of ten student steps. Default: 8000, times the budget.
        budget: Fraction of the usual rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "noise",
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
