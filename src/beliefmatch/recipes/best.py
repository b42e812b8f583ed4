"""Our own: textures for inputs, refined where that pays, and a student that starts from the teacher."""

from dataclasses import replace

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.setup import SOFT, assemble
from beliefmatch.sources.refined_textures import RefinedTextures
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

NUM_ROUNDS = 2000


def best(
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
    source: RefinedTextures = RefinedTextures(),
    objective: BeliefMatching = SOFT,
    optimiser: Adam = Adam(learning_rate=1e-2, gradient_clip=5.0),
    seed: int = 0,
) -> Transfer:
    """The best student that a teacher alone gave us so far, soonest: it learns from textures, some of them refined.

    No generator is trained, so none can collapse. A round takes 20 student steps. Before them, where the teacher has
    batch-norm, it refines one batch of textures in 20 steps through the teacher, for half of what the student sees;
    other teachers need give no gradient. The student starts from the teacher's own weights where both are of one family
    (Xu et al. 2024), unless it has weights to start from, or `--student.start fresh`. Settings are the same for every
    task; docs/methods/best.md says how they were found, and what students reach. Found on grey images of 8 to 28
    pixels: on colour images such as CIFAR-10 it runs, and what it reaches there is not measured yet.

    Args:
        teacher: Trained network to learn from.
        student: Smaller network that learns.
        dataset: What the teacher was trained on: sets the normalisation. No data is read.
            Default: cifar10, and the run says that its normalisation was assumed.
        shape: Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
            normalisation is then none but what mean and std say.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        rounds: Rounds, each of 20 student steps. Default: 2000, times the budget.
        budget: Fraction of the usual rounds to do, for small machines. The result says it.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        optimiser: Of the student.
        seed: Of fresh weights and of all noise.
    """
    return assemble(
        "best",
        teacher=teacher,
        student=student if student.start or student.has_weights else replace(student, start="teacher"),
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
