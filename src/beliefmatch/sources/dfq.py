"""DFQ: Choi et al. 2020, "Data-Free Network Quantization With Adversarial Knowledge Distillation".

A generator maximises the KL of both networks, as in adversarial belief matching, but among inputs that fit the
statistics of the teacher's batch-norm layers, that the teacher is sure of, and that are spread over its classes.
"""

from dataclasses import dataclass

from beliefmatch.sources.generator_by_weights import AbstractGeneratorByWeights
from beliefmatch.sources.inversion_loss import InversionLossWeights


@dataclass(frozen=True, kw_only=True)
class Dfq(AbstractGeneratorByWeights):
    """A generator trained against both networks; the student is in eval mode in its step. Weights and steps: the
    DataFree benchmark of Fang et al. 2021. The paper compares statistics by the KL of normal distributions; here, as in
    that benchmark, by the norms of DeepInversion.
    """

    student_steps: int = 10
    """Student steps a round."""
    noise_size: int = 256
    """Length of the noise vector z."""
    terms: InversionLossWeights = InversionLossWeights(adversarial=1.0, statistics=1.0, one_hot=1.0, balance=20.0)
    """What the generator minimises."""
