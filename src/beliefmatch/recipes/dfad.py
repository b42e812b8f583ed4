"""DFAD, with the settings of its released code for CIFAR-10."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import StepwiseSgd
from beliefmatch.recipes.setup import Defaults, Setup
from beliefmatch.sources.dfad import Dfad
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=500 * 50, each_round="one generator step and five student steps", batch_size=256)


def dfad(
    setup: Setup,
    *,
    source: Dfad = Dfad(),
    objective: BeliefMatching = BeliefMatching(divergence="l1"),
    optimiser: StepwiseSgd = StepwiseSgd(drops=(0.2, 0.4), drop_factor=0.1),
) -> Transfer:
    """DFAD: Fang et al. 2019. A generator raises the difference of logits, with five student steps to each of its own.

    Published: MNIST, LeNet-5 -> LeNet-5-half 98.3 %. Nothing for the wide residual networks here. With a generator of
    our size a round costs about what half a round of zero_shot does.
    """
    return setup.make_transfer("dfad", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
