"""DAFL: Chen et al. 2019, "Data-Free Learning of Student Networks".

A generator makes inputs that the teacher is sure of, that are spread evenly over its classes and that excite its
features. The student takes no part in the generator's step.
"""

import math
from dataclasses import dataclass

from beliefmatch.sources.generator_by_weights import AbstractGeneratorByWeights
from beliefmatch.sources.inversion_loss import InversionLossWeights


@dataclass(frozen=True, kw_only=True)
class Dafl(AbstractGeneratorByWeights):
    """A generator trained against the teacher alone. Defaults: the released code for CIFAR-10 (one-hot .05; 1 for
    MNIST) with the paper's weight of the activations. The paper's code learns from the batch that the generator was
    just graded on; here the student sees new ones of the improved generator.
    """

    noise_size: int = 1000
    """Length of the noise vector z."""
    learning_rate: float = 0.02
    """Adam's learning rate for the generator, falling to 0 by a cosine over all rounds (the fall is ours)."""
    terms: InversionLossWeights = InversionLossWeights(one_hot=0.05, balance=5 / math.log(10), activation=0.1)
    """What the generator minimises. The paper's balance, 5, is with logarithms to the base ten."""
