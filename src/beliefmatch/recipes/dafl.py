"""DAFL, with the settings of its released code for CIFAR-10, in the batches of a later benchmark."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import StepwiseSgd
from beliefmatch.recipes.setup import Defaults, Setup
from beliefmatch.sources.dafl import Dafl
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=2000 * 120, each_round="one generator step and one student step", batch_size=256)


def dafl(
    setup: Setup,
    *,
    source: Dafl = Dafl(),
    objective: BeliefMatching = BeliefMatching(),
    optimiser: StepwiseSgd = StepwiseSgd(drops=(0.4, 0.8), drop_factor=0.1),
) -> Transfer:
    """DAFL: Chen et al. 2019. Generated inputs that the teacher is sure of, balanced, and that excite its features.

    Published, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 92.22 %, WRN-40-2 -> WRN-16-1 65.71 %,
    -> WRN-40-1 81.33 %, -> WRN-16-2 81.55 %; MNIST, LeNet-5 -> LeNet-5-half 98.20 %. Generation for the first pair took
    2.7 hours on one GPU.
    """
    return setup.make_transfer("dafl", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
