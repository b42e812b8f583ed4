"""Fast: Fang et al. 2022, "Up to 100x Faster Data-free Knowledge Distillation".

From a meta generator a few steps lead to any batch: each batch begins with its weights, takes k steps of
generator and latents, and goes into the pool; what the steps have in common moves the meta generator.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_positive
from beliefmatch.errors import NetworkError
from beliefmatch.networks.architectures.initialisation import redraw
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import make_adam
from beliefmatch.sources.base import Needs, Plan
from beliefmatch.sources.generator_settings import GeneratorSettings
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pooled import (
    AbstractPooled,
    PooledState,
    batch_losses,
    bound_pixels,
    check_pooled,
    draw_labels,
    draw_noise,
    start_pooled,
)

Outer = Literal["fomaml", "reptile"]
FIRST_BETA = 0.5
"""Adam's, in the steps of a batch and of the meta generator."""


@dataclass(kw_only=True)
class FastState(PooledState):
    """All that moves."""

    generator: nn.Module
    """The meta generator."""
    optimiser: torch.optim.Adam
    """Of the meta generator."""


@dataclass(frozen=True, kw_only=True)
class Fast(GeneratorSettings, AbstractPooled[FastState]):
    """A meta generator whose copies make the batches. Defaults: Fast-10 for wide residual networks, as released, but
    for its running mean of the batch-norm gap, which is left out.
    """

    making_steps: int = 10
    """k, steps from the meta generator to a batch."""
    outer: Outer = "fomaml"
    """How the meta generator moves: along the sum of the k gradients, or (reptile) towards where they led."""
    learning_rate: float = 2e-3
    """Adam's learning rate for the copy of the generator; times k for the meta generator."""
    latent_learning_rate: float = 0.01
    """Adam's learning rate for the latents."""
    warm_up: int = 20
    """Batches made before the first student step, without the adversarial term."""
    terms: InversionLossWeights = InversionLossWeights(
        adversarial=1.1, adversarial_where="agreed", statistics=10.0, one_hot=0.4
    )
    """What each batch minimises."""

    @property
    def needs(self) -> Needs:
        """What the terms need that have a weight."""
        return self.terms.needs()

    def check(self) -> None:
        """Check what all pools check, the noise and the learning rates."""
        check_pooled(self)
        self.check_generator()
        check_positive(self, "source", "learning_rate", "latent_learning_rate")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> FastState:
        """Build the meta generator. Its weights follow torch's own seed."""
        common = start_pooled(self, teacher, plan, fabric)
        generator = self.make_generator(teacher, fabric.device)
        rate = self.learning_rate * self.making_steps
        optimiser = make_adam(generator.parameters(), rate, first_beta=FIRST_BETA)
        return FastState(**vars(common), generator=generator, optimiser=optimiser)

    def make(
        self, state: FastState, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Train a copy and its latents for k steps, then the meta generator for one."""
        redraw(first_layer(state.generator), state.random)
        labels = draw_labels(state, teacher.num_classes, fabric)
        latents = nn.Parameter(draw_noise(state, self.noise_size, fabric=fabric))
        inner = copy.deepcopy(state.generator)
        optimiser = make_adam(inner.parameters(), self.learning_rate, first_beta=FIRST_BETA)
        optimiser.add_param_group({"params": [latents], "lr": self.latent_learning_rate})
        best, found = optimise_inputs(
            lambda: bound_pixels(state, inner(latents)),
            batch_losses(state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric),
            optimiser,
            fabric,
            steps=self.making_steps,
            shared=list(inner.parameters()),
            micro_batch=state.micro_batch,
            after_gradient=(lambda: _add_gradients(inner, state.generator)) if self.outer == "fomaml" else None,
        )
        if self.outer == "reptile":
            for start, reached in zip(state.generator.parameters(), inner.parameters(), strict=True):
                start.grad = start.detach() - reached.detach()
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        return best, found


def first_layer(generator: nn.Module) -> nn.Module:
    """Return the layer that reads the noise: the first with weights of its own.

    Raises:
        NetworkError: there is none.
    """
    found = next((module for module in generator.modules() if hasattr(module, "reset_parameters")), None)
    if found is None:
        raise NetworkError("the generator has no layer that can be drawn anew: expected one such as torch.nn.Linear")
    return found


def _add_gradients(inner: nn.Module, outer: nn.Module) -> None:
    for moved, kept in zip(inner.parameters(), outer.parameters(), strict=True):
        if moved.grad is not None:
            kept.grad = moved.grad.clone() if kept.grad is None else kept.grad.add_(moved.grad)
