"""NAYER, with its released settings for CIFAR-10 but for the text encoder."""

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import CosineSgd
from beliefmatch.recipes.setup import SOFT, Defaults, Setup
from beliefmatch.sources.nayer import Nayer
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=300, each_round="two batches made and 400 student steps", batch_size=512)


def nayer(
    setup: Setup,
    *,
    source: Nayer = Nayer(),
    objective: BeliefMatching = SOFT,
    optimiser: CosineSgd = CosineSgd(learning_rate=0.2),
) -> Transfer:
    """NAYER: Tran et al. 2024. A generator behind a noisy layer on label embeddings, trained for thirty steps a batch.

    Published for 300 epochs, best test accuracy over epochs on CIFAR-10 and not verified by others: ResNet-34 ->
    ResNet-18 95.21 %, WRN-40-2 -> WRN-16-1 91.94 %, -> WRN-40-1 94.15 %, -> WRN-16-2 94.07 %. Those used embeddings of
    class names by a text encoder; here they are one-hot, or learnt. 800 batches of thirty steps and 120,000 student
    steps: hours on one GPU.
    """
    return setup.make_transfer("nayer", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
