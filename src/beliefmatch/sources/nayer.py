"""NAYER: Tran et al. 2024, "Noisy Layer Data Generation for Efficient and Effective Data-free Knowledge Distillation".

The noise is no input but a layer: label embeddings pass a linear layer that is drawn anew for every batch and learns
with the generator for a few steps, so that the generator finds each class fast and each batch differs.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.networks.architectures.generators import NoisyLayer
from beliefmatch.networks.architectures.initialisation import redraw
from beliefmatch.networks.placement import move_to_device
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import make_adam
from beliefmatch.sources.base import Needs, Plan, take_local_shard
from beliefmatch.sources.generator_settings import GeneratorSettings
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pooled import (
    AbstractPooled,
    PooledState,
    batch_losses,
    bound_pixels,
    check_pooled,
    start_pooled,
)

Embedding = Literal["one_hot", "learnt"]


@dataclass(kw_only=True)
class NayerState(PooledState):
    """All that moves."""

    noisy: NoisyLayer
    generator: nn.Module
    batches_made: int


@dataclass(frozen=True, kw_only=True)
class Nayer(GeneratorSettings, AbstractPooled[NayerState]):
    """A generator behind a noisy layer. Defaults: the released settings for CIFAR-10, but for what only a text encoder
    gives, its embeddings of the names of classes: here they are one-hot, or learnt from random ones.
    """

    making_steps: int = 30
    """Steps of generator and noisy layer for each batch."""
    batches_per_round: int = 2
    """Batches made a round."""
    warm_up: int = 200
    """Batches made before the first student step, without the adversarial term."""
    generator_life: int = 10
    """Rounds after which the generator is drawn anew."""
    embedding: Embedding = "one_hot"
    """What stands for a class: a unit vector, or a vector drawn at random that learns with the generator."""
    embedding_size: int = 512
    """Length of learnt embeddings."""
    noise_size: int = 256
    """Length of what the noisy layer gives to the generator."""
    learning_rate: float = 4e-3
    """Adam's learning rate for generator and noisy layer."""
    terms: InversionLossWeights = InversionLossWeights(
        adversarial=1.33, adversarial_where="agreed", statistics=10.0, one_hot=0.5
    )
    """What each batch minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need that have a weight, and classes, whose names the generator embeds."""
        return replace(self.terms.needs(), classes=True)

    def check(self) -> None:
        """Check what all pools check, sizes, the generator's life and the learning rate."""
        check_pooled(self)
        self.check_generator()
        check_positive(self, "source", "generator_life", "embedding_size", "learning_rate")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> NayerState:
        """Build generator and noisy layer. Their weights follow torch's own seed, and later the source's."""
        common = start_pooled(self, teacher, plan, fabric)
        num_sets = -(-common.local_made_batch * fabric.world_size // teacher.num_classes)
        size = self.embedding_size if self.embedding == "learnt" else None
        noisy = NoisyLayer(teacher.num_classes, num_sets, self.noise_size, embedding_size=size)
        move_to_device(noisy, fabric.device, teacher.dtype)
        generator = self.make_generator(teacher, fabric.device)
        return NayerState(**vars(common), noisy=noisy, generator=generator, batches_made=0)

    def make(
        self, state: NayerState, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw the noisy layer anew, in some rounds the generator too, and train both for this batch."""
        if self._is_due(state):
            redraw(state.generator, state.random)
            redraw(state.noisy.norm, state.random)
        state.batches_made += 1
        redraw(state.noisy.linear, state.random)
        order = torch.randperm(teacher.num_classes, generator=state.random, device=state.random.device)
        # Sets follow one another, each with every class once, and the last with some.
        whole = order.repeat(len(state.noisy.linear.weight))[: state.local_made_batch * fabric.world_size]
        sets = torch.arange(len(whole), device=whole.device) // teacher.num_classes
        labels, sets = (take_local_shard(each, state.local_made_batch, fabric) for each in (whole, sets))
        parameters = [*state.noisy.parameters(), *state.generator.parameters()]
        return optimise_inputs(
            lambda: bound_pixels(state, state.generator(state.noisy(labels, sets))),
            batch_losses(state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric),
            make_adam(parameters, self.learning_rate, first_beta=0.5),
            fabric,
            steps=self.making_steps,
            shared=parameters,
            micro_batch=state.micro_batch,
        )

    def _is_due(self, state: NayerState) -> bool:
        """Whether this is the first batch of a round in which the generator is to be drawn anew."""
        since = state.batches_made - self.warm_up
        return since >= 0 and since % (self.generator_life * self.batches_per_round) == 0
