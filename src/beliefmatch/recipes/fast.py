"""Fast, with its released settings for wide residual networks on CIFAR-10."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.fast import Fast
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=200, each_round="one batch made and 400 student steps", batch_size=256)


def fast(
    setup: Setup,
    *,
    source: Fast = Fast(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(learning_rate=0.2),
) -> Transfer:
    """Fast: Fang et al. 2022. A meta generator from which ten steps lead to any batch.

    Published as Fast-10, best test accuracy over epochs on CIFAR-10: ResNet-34 -> ResNet-18 94.05 %, WRN-40-2 ->
    WRN-16-1 89.29 %, -> WRN-40-1 92.51 %, -> WRN-16-2 92.45 %; with two steps (--source.making-steps 2
    --source.learning-rate 5e-3 --source.latent-learning-rate .015) 92.62, 88.36, 89.56 and 89.68 %. Generation for
    WRN-16-1 took .15 hours (.03 with two steps) on one GPU; the 80,000 student steps come besides.
    """
    return setup.make_transfer("fast", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
