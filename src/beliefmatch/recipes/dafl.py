"""DAFL, with the settings of its released code for CIFAR-10, in the batches of a later benchmark."""

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import StepwiseSgd
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import assemble
from beliefmatch.sources.dafl import Dafl
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 2000 * 120


def dafl(
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
    source: Dafl = Dafl(),
    objective: BeliefMatching = BeliefMatching(),
    optimiser: StepwiseSgd = StepwiseSgd(drops=(0.4, 0.8), drop_factor=0.1),
    seed: int = 0,
) -> Transfer:
    """DAFL: Chen et al. 2019. Generated inputs that the teacher is sure of, balanced, and that excite its features.

    Published, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 92.22 %, WRN-40-2 -> WRN-16-1 65.71 %,
    -> WRN-40-1 81.33 %, -> WRN-16-2 81.55 %; MNIST, LeNet-5 -> LeNet-5-half 98.20 %. Generation for the first pair took
    2.7 hours on one GPU.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of one generator step and one student step. Default: 240000, times the budget.
        budget: Fraction of the paper's rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "dafl",
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
