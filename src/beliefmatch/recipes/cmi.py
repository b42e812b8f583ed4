"""CMI, with the settings of its released run from scratch on CIFAR-10."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.cmi import Cmi
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=200, each_round="one batch made and 400 student steps", batch_size=128)


def cmi(
    setup: Setup,
    *,
    source: Cmi = Cmi(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
) -> Transfer:
    """CMI: Fang et al. 2021. A new generator for each batch, distinguished from all earlier ones by a contrastive term.

    Published, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 94.84 %, WRN-40-2 -> WRN-16-1 90.01 %,
    -> WRN-40-1 92.78 %, -> WRN-16-2 92.52 %, after 50,000 images inverted beforehand; without them, as here, about
    88.8 % for WRN-16-1. Generation took 19 hours for the first pair and 13 for the second, on one GPU. Closer to the
    former: --source.warm-up 195 --source.student-steps 2000 --rounds 40 --source.terms.one-hot .5.
    """
    return setup.make_transfer("cmi", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
