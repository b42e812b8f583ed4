"""DeepInversion, with the settings of the DataFree benchmark for CIFAR-10."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=200, each_round="one batch made and 400 student steps", batch_size=256)


def deep_inversion(
    setup: Setup,
    *,
    source: DeepInversion = DeepInversion(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(),
) -> Transfer:
    """DeepInversion: Yin et al. 2020. Inputs optimised directly until the teacher sees what it remembers.

    Published by the DataFree benchmark, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 93.26 %,
    WRN-40-2 -> WRN-16-1 83.04 %, -> WRN-40-1 86.85 %, -> WRN-16-2 89.72 %. A batch takes 1000 steps through both
    networks, so 200 rounds cost about as much as 200,000 generator steps: many hours on one GPU.
    """
    return setup.make_transfer("deep_inversion", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
