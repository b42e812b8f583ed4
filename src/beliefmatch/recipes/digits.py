"""The demo's recipe: small batch-norm networks on 8x8 images, in a minute or two on two cores."""

from dataclasses import replace

from beliefmatch.networks.inputs import DIGITS
from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

TEACHER_ARCHITECTURE = "convnet_32"
STUDENT_ARCHITECTURE = "convnet_8"
NUM_ROUNDS = 400


def digits(
    *,
    teacher: Network,
    student: NamedStudent = NamedStudent(architecture=STUDENT_ARCHITECTURE),
    rounds: int = NUM_ROUNDS,
    batch_size: int = 128,
    source: Adversarial = Adversarial(student_steps=5, fresh_noise=True, divergence="l1", batch_norm_weight=1.0),
    objective: BeliefMatching = BeliefMatching(divergence="l1"),
    student_learning_rate: float = 1e-2,
    student_gradient_clip: float = 5.0,
    seed: int = 0,
) -> Transfer:
    """Adversarial belief matching with what helped since: batch-norm statistics, fresh batches, L1 on centred logits.

    Args:
        teacher: Network trained on 8x8 digits, such as teacher.safetensors in the folder of a demo.
        student: Smaller network that learns.
        rounds: Rounds, each of one generator step and five student steps.
        batch_size: Pseudo images a batch, over all devices together.
        source: Where the inputs come from.
        objective: What the student matches on them.
        student_learning_rate: Adam's learning rate for the student, falling to 0 by a cosine over all rounds.
        student_gradient_clip: Largest L2 norm of the student's gradient.
        seed: Of fresh weights and of all noise.
    """
    return Transfer(
        recipe="digits",
        teacher=teacher,
        inputs=replace(DIGITS, normalisation_from="user"),
        student=student,
        source=source,
        objective=objective,
        rounds=rounds,
        batch_size=batch_size,
        student_optimiser=Adam(learning_rate=student_learning_rate, gradient_clip=student_gradient_clip),
        seed=seed,
    )
