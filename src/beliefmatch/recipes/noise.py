"""Noise as inputs: the baseline that any source should beat."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.noise import Noise
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=8000, each_round="ten student steps", batch_size=256)
"""Rounds are ours: as many student steps as the DataFree benchmark takes."""


def noise(
    setup: Setup,
    *,
    source: Noise = Noise(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
) -> Transfer:
    """Distillation on noise alone, with which every data-free method should be compared.

    Nothing is published for these settings, which are ours. A round costs ten student steps and as many passes of the
    teacher.
    """
    return setup.make_transfer("noise", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
