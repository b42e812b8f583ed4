"""Distillation on unlabelled images of any kind."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=8000, each_round="ten student steps", batch_size=256)
"""Rounds are ours: as many student steps as the DataFree benchmark takes."""


def unlabelled(
    setup: Setup,
    *,
    source: Unlabelled,
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
) -> Transfer:
    """Distillation on images that need not be of the teacher's classes, such as photographs of anything.

    Nothing is published for these settings, which are ours. A round costs ten student steps; the teacher runs in each
    only where images are augmented. This is not data-free, but needs no data that the teacher was trained on.
    """
    return setup.make_transfer("unlabelled", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
