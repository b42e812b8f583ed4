"""Our own: textures for inputs, refined where that pays, and a student that starts from the teacher."""

from dataclasses import replace

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.refined_textures import RefinedTextures
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=2000, each_round="20 student steps", batch_size=128)


def best(
    setup: Setup,
    *,
    source: RefinedTextures = RefinedTextures(),
    objective: BeliefMatching = SOFT,
    optimiser: Adam = Adam(learning_rate=1e-2, gradient_clip=5.0),
) -> Transfer:
    """The best student that a teacher alone gave us so far, soonest: it learns from textures, some of them refined.

    No generator is trained, so none can collapse. A round takes 20 student steps. Before them, where the teacher has
    batch-norm, it refines one batch of textures in 20 steps through the teacher, for half of what the student sees;
    other teachers need give no gradient. The student starts from the teacher's own weights where both are of one family
    (Xu et al. 2024), unless it has weights to start from, or `--student.start fresh`. Settings are the same for every
    task; docs/methods/best.md describes how they were found, and what students reach. Found on grey images of 8 to 28
    pixels: on colour images such as CIFAR-10 it runs, and what it reaches there is not measured yet.
    """
    student = setup.student
    if student and not (student.start or student.has_weights):
        setup = replace(setup, student=replace(student, start="teacher"))
    return setup.make_transfer("best", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
