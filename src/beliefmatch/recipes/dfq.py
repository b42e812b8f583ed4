"""DFQ, with the settings of the DataFree benchmark for CIFAR-10."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.dfq import Dfq
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=200 * 400 // 10, each_round="one generator step and ten student steps", batch_size=256)


def dfq(
    setup: Setup,
    *,
    source: Dfq = Dfq(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
) -> Transfer:
    """DFQ: Choi et al. 2020. Adversarial belief matching held to the teacher's batch-norm statistics, and balanced.

    Published, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 94.61 %, WRN-40-2 -> WRN-16-1 86.14 %,
    -> WRN-40-1 91.69 %, -> WRN-16-2 92.01 %. Generation took 8.8 hours for the first pair and .75 hours for the second,
    on one GPU.
    """
    return setup.make_transfer("dfq", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
