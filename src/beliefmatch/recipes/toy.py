"""The paper's toy in the plane: with free points, as its notebook has it, and through a generator."""

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

ARCHITECTURE = "mlp_100_500"
NUM_ROUNDS = 400
GENERATOR_ROUNDS = 1000
NOTEBOOK_ROUNDS = 2000
PLANE = InputSpec(shape=(2,))

KL_OVER_CLASSES = 1 / 3
"""The notebook averages the KL over the three classes too; its clip belongs to that scale."""


def toy(
    *,
    teacher: Network,
    student: NamedStudent = NamedStudent(architecture=ARCHITECTURE),
    rounds: int = NUM_ROUNDS,
    batch_size: int = 50,
    source: FreePoints = FreePoints(start_mean=0.0),
    objective: BeliefMatching = BeliefMatching(divergence_weight=KL_OVER_CLASSES),
    student_learning_rate: float = 1e-3,
    student_gradient_clip: float = 3.0,
    seed: int = 0,
) -> Transfer:
    """Match a network in the plane with free points: the toy experiment of Micaelli & Storkey 2019.

    Expected: boundaries that cannot be told apart, isolated pockets included: 99.4 +- .3 % agreement over the square
    [-3, 3] x [-3, 3] (seeds 0, 1, 2), in about a minute on two cores of a CPU.

    Two things differ from the notebook, to stay within two minutes. Its points begin in a corner of the square, around
    (2.7, 2.7), and take 2000 rounds to find everything (98.7 %, after more than two minutes on one core); here they
    begin all over it and take 400. The notebook's own way: --source.start-mean 3 --rounds 2000.

    Args:
        teacher: Network trained on points of the plane, such as teacher.safetensors in the folder of a toy.
        student: Network that learns.
        rounds: Rounds, each of 50 steps of the points and ten student steps.
        batch_size: Number of points, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        student_learning_rate: Adam's learning rate for the student, the same in all rounds.
        student_gradient_clip: Largest L2 norm of the student's gradient.
        seed: Of fresh weights and of the first points.
    """
    return Transfer(
        recipe="toy",
        teacher=teacher,
        inputs=PLANE,
        student=student,
        source=source,
        objective=objective,
        rounds=rounds,
        usual_rounds=NOTEBOOK_ROUNDS,
        batch_size=batch_size,
        student_optimiser=Adam(learning_rate=student_learning_rate, gradient_clip=student_gradient_clip, constant=True),
        seed=seed,
    )


def toy_generator(
    *,
    teacher: Network,
    student: NamedStudent = NamedStudent(architecture=ARCHITECTURE),
    rounds: int = GENERATOR_ROUNDS,
    batch_size: int = 128,
    source: Adversarial = Adversarial(fresh_noise=True),
    objective: BeliefMatching = BeliefMatching(divergence_weight=KL_OVER_CLASSES),
    student_learning_rate: float = 1e-3,
    student_gradient_clip: float = 3.0,
    seed: int = 0,
) -> Transfer:
    """Match a network in the plane through a generator: the toy by the method that serves images.

    Expected: both networks agree on 99.1 +- .8 % of the square [-3, 3] x [-3, 3] (seeds 0, 1, 2), after about a minute
    on two cores of a CPU.

    Unlike the paper's method for images, every student step has fresh noise: without it one seed of three stayed at
    67 %. Nothing bounds the generator, and the KL does not drive it far: its points stay within 8 of the origin. L1 on
    centred logits grows without end and drives it beyond 10,000, where the student learns nothing of the square.

    Args:
        teacher: Network trained on points of the plane, such as teacher.safetensors in the folder of a toy.
        student: Network that learns.
        rounds: Rounds, each of one generator step and ten student steps.
        batch_size: Pseudo points a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        student_learning_rate: Adam's learning rate for the student, falling to 0 by a cosine over all rounds.
        student_gradient_clip: Largest L2 norm of the student's gradient.
        seed: Of fresh weights and of all noise.
    """
    return Transfer(
        recipe="toy_generator",
        teacher=teacher,
        inputs=PLANE,
        student=student,
        source=source,
        objective=objective,
        rounds=rounds,
        batch_size=batch_size,
        student_optimiser=Adam(learning_rate=student_learning_rate, gradient_clip=student_gradient_clip),
        seed=seed,
    )
