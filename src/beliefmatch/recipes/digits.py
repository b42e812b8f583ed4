"""The demo's recipe: small batch-norm networks on 8x8 images, in a minute or two on two cores."""

from dataclasses import replace

from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.setup import Defaults, Setup
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

TEACHER_ARCHITECTURE = "convnet_32"
STUDENT_ARCHITECTURE = "convnet_8"
DEFAULTS = Defaults(
    rounds=400,
    each_round="one generator step and five student steps",
    batch_size=128,
    student=NamedStudent(architecture=STUDENT_ARCHITECTURE),
    inputs=replace(DIGITS, normalisation_from="user", shape_from="user"),
)


def digits(
    setup: Setup,
    *,
    source: Adversarial = Adversarial(student_steps=5, fresh_noise=True, divergence="l1", batch_norm_weight=1.0),
    objective: BeliefMatching = BeliefMatching(divergence="l1"),
    optimiser: Adam = Adam(learning_rate=1e-2, gradient_clip=5.0),
) -> Transfer:
    """Adversarial belief matching with what helped since: batch-norm statistics, fresh batches, L1 on centred logits.

    The teacher was trained on 8x8 digits, such as teacher.safetensors in the folder of a demo.
    """
    return setup.make_transfer("digits", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
