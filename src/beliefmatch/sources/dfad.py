"""DFAD: Fang et al. 2019, "Data-Free Adversarial Distillation".

A generator maximises the mean absolute difference of both networks' logits, whose gradient, unlike that of the KL, does
not vanish as the student nears the teacher. Five student steps, each on fresh noise, follow each of its steps.
"""

from dataclasses import dataclass

from beliefmatch.sources.generator_by_weights import AbstractGeneratorByWeights
from beliefmatch.sources.inversion_loss import InversionLossWeights


@dataclass(frozen=True, kw_only=True)
class Dfad(AbstractGeneratorByWeights):
    """A generator trained against the student alone. As in the released code the student is in train mode in the
    generator's step too, so its batch-norm statistics move there. Ours: logits lose their mean over classes first.
    """

    student_steps: int = 5
    """Student steps a round."""
    noise_size: int = 256
    """Length of the noise vector z."""
    terms: InversionLossWeights = InversionLossWeights(adversarial=1.0, divergence="l1", student_mode="train")
    """What the generator minimises."""
