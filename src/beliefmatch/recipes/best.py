"""Our own: procedural images, improved through the teacher, and a student that starts from it."""

from dataclasses import replace

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.students.quantized import asks_for_quantization
from beliefmatch.training.transfer import Transfer

OPTIMISER = Adam(learning_rate=1e-2, gradient_clip=5.0)
OPTIMISER_OF_FEW_BITS = Adam(learning_rate=1e-4, gradient_clip=5.0)
"""Of a student that begins where its teacher stands, and whose batch-norm keeps its statistics; see
docs/quantization.md for what other rates do."""
DEFAULTS = Defaults(rounds=1000, each_round="40 student steps", batch_size=128)


def best(
    setup: Setup,
    *,
    source: ProceduralPool = ProceduralPool(),
    objective: BeliefMatching = replace(SOFT, feature_weight=10.0),
    optimiser: Adam = OPTIMISER,
) -> Transfer:
    """The best student that a teacher alone gave us so far: it learns from procedural images, half of them improved.

    No generator is trained, so none can collapse. A round makes 256 images (dead leaves, areas, curves, as many of
    each as fit the normalisation), and takes 40 student steps on what the pool holds, drawn so that the teacher's
    classes are balanced. Where the teacher has batch-norm, half of the images are refined in 30 steps towards what it
    remembers of its training data, and what looks like that data is drawn more often. Other teachers need give no
    gradient. The student starts from the teacher's own weights where both are of one family (Xu et al. 2024), unless
    it has weights to start from, or `--student.start fresh`. A student of the family of a teacher with batch-norm
    also matches feature maps of one resolution (Romero et al. 2015), less from round to round. A student in few
    bits (quantized:w4a8) learns at a rate of 1e-4, unless another than 1e-2 is given. Other settings are the same for
    every task; docs/methods/best.md describes how they were found, and what students reach.
    """
    student = setup.student
    if optimiser == OPTIMISER and student and asks_for_quantization(student.architecture):
        optimiser = OPTIMISER_OF_FEW_BITS
    if student and not (student.start or student.has_weights):
        setup = replace(setup, student=replace(student, start="teacher"))
    return setup.make_transfer("best", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
