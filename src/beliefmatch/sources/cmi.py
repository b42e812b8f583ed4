"""CMI: Fang et al. 2021, "Contrastive Model Inversion for Data-Free Knowledge Distillation".

Every batch has a generator drawn anew for it, trained together with its latents as DeepInversion trains inputs. A
contrastive term keeps batches from repeating: each input must differ from all that the pool already holds.
"""

from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.errors import NetworkError
from beliefmatch.functional.inversion_losses import contrastive_loss
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.functional.upcast import upcast
from beliefmatch.networks.architectures.initialisation import redraw
from beliefmatch.networks.placement import move_to_device
from beliefmatch.networks.taps import Outputs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import average_over_processes, make_adam
from beliefmatch.sources.base import Needs, Plan
from beliefmatch.sources.generator_settings import GeneratorSettings
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.pooled import (
    AbstractPooled,
    PooledState,
    augment_made,
    batch_losses,
    bound_pixels,
    check_pooled,
    draw_labels,
    draw_noise,
    start_pooled,
)

EMBEDDING_SIZE = 128


@dataclass(kw_only=True)
class CmiState(PooledState):
    """All that moves."""

    generator: nn.Module
    embedder: nn.Module
    """Maps the teacher's features to what is compared, and learns to distinguish inputs."""
    optimiser: torch.optim.Adam
    """Of the embedder."""


@dataclass(frozen=True, kw_only=True)
class Cmi(GeneratorSettings, AbstractPooled[CmiState]):
    """A new generator for every batch. Defaults: the benchmark's run from scratch on CIFAR-10, without a set of images
    inverted beforehand. The memory bank is the pool: inputs drawn from it pass the teacher once for each batch.
    """

    making_steps: int = 200
    """Steps of generator and latents for each batch."""
    learning_rate: float = 1e-3
    """Adam's learning rate for generator, latents and embedder."""
    contrast: float = 0.8
    """Weight of the contrastive term."""
    contrast_temperature: float = 0.1
    """Cosine similarities are divided by it."""
    num_others: int = 1024
    """Inputs drawn from the pool that each new one is contrasted with, besides its own batch (the number is ours)."""
    terms: InversionLossWeights = InversionLossWeights(
        adversarial=0.5, adversarial_where="agreed", statistics=1.0, one_hot=1.0
    )
    """What each batch minimises besides."""

    @property
    def needs(self) -> Needs:
        """What the terms need, and what the contrastive term compares: the teacher's features."""
        of_terms = self.terms.needs()
        follows = of_terms.teacher_gradient or self.contrast != 0
        return replace(of_terms, features=True, teacher_gradient=follows)

    def check(self) -> None:
        """Check what all pools check, the noise, the learning rate and the contrastive term."""
        check_pooled(self)
        self.check_generator()
        check_positive(self, "source", "learning_rate", "contrast_temperature", "num_others")
        check_not_negative(self, "source", "contrast")

    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> CmiState:
        """Build generator and embedder. Their weights follow torch's own seed; the generator's later the source's.

        Raises:
            NetworkError: the teacher's features are not known.
        """
        if teacher.feature_tap is None:
            raise NetworkError(
                "the teacher's logits are not the output of a linear layer or convolution, so its features, which CMI "
                "compares, are not known; try the recipe fast"
            )
        common = start_pooled(self, teacher, plan, fabric)
        generator = self.make_generator(teacher, fabric.device)
        one = torch.zeros((1, *teacher.spec.shape), dtype=teacher.dtype, device=fabric.device)
        with torch.no_grad():
            num_features = features_of(teacher.outputs(one, tap_features=True), teacher).shape[1]
        embedder = nn.Sequential(
            nn.Linear(num_features, EMBEDDING_SIZE), nn.ReLU(), nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)
        )
        move_to_device(embedder, fabric.device, teacher.dtype)
        optimiser = make_adam(embedder.parameters(), self.learning_rate)
        return CmiState(**vars(common), generator=generator, embedder=embedder, optimiser=optimiser)

    def make(
        self, state: CmiState, weights: InversionLossWeights, teacher: Teacher, student: nn.Module, fabric: Fabric
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Train a fresh generator with its latents, and the embedder beside them."""
        redraw(state.generator, state.random)
        labels = draw_labels(state, teacher.num_classes, fabric)
        latents = nn.Parameter(draw_noise(state, self.noise_size, fabric=fabric))
        optimiser = make_adam([*state.generator.parameters(), latents], self.learning_rate, first_beta=0.5)
        others = self._others(state, teacher, fabric)
        seen: list[tuple[Tensor, Tensor]] = []

        def contrast(inputs: Tensor, read: Outputs) -> dict[str, Tensor]:
            queries = features_of(read, teacher)
            keys = self._other_view(state, inputs, queries, teacher, fabric)
            seen.append((queries.detach(), keys.detach()))
            return {"contrast": self.contrast * self._contrast(state, queries, keys, others).mean()}

        def train_embedder() -> None:
            queries, keys = (torch.cat(parts) for parts in zip(*seen, strict=True))
            seen.clear()
            with fabric.autocast():
                loss = self._contrast(state, queries, keys, others).mean()
            loss.backward()
            average_over_processes([p.grad for p in state.embedder.parameters() if p.grad is not None], fabric)
            state.optimiser.step()
            state.optimiser.zero_grad(set_to_none=True)

        return optimise_inputs(
            lambda: bound_pixels(state, state.generator(latents)),
            batch_losses(
                state, weights=weights, labels=labels, teacher=teacher, student=student, fabric=fabric, more=contrast
            ),
            optimiser,
            fabric,
            steps=self.making_steps,
            shared=list(state.generator.parameters()),
            micro_batch=state.micro_batch,
            after_gradient=train_embedder,
        )

    def _contrast(self, state: CmiState, queries: Tensor, keys: Tensor, others: Tensor) -> Tensor:
        first, second, third = (upcast(state.embedder(features)) for features in (queries, keys, others))
        return contrastive_loss(first, second, third, self.contrast_temperature)

    def _other_view(self, state: CmiState, inputs: Tensor, queries: Tensor, teacher: Teacher, fabric: Fabric) -> Tensor:
        """Read the features of another crop of the same inputs; where none is made, those of the one there is."""
        if state.pool.augmentation == "none":
            return queries.detach()
        return features_of(teacher.outputs(augment_made(state, inputs, fabric), tap_features=True), teacher)

    def _others(self, state: CmiState, teacher: Teacher, fabric: Fabric) -> Tensor:
        """Read the features of inputs drawn from the pool, (others, features); none of an empty one."""
        held = int(state.pool.held)
        if held == 0:
            first = next(state.embedder.parameters())
            return first.new_zeros(0, first.shape[1])
        inputs = state.pool.draw(min(self.num_others, held), state.random, fabric).inputs
        with torch.no_grad(), fabric.autocast():
            parts = [
                features_of(teacher.outputs(part, tap_features=True), teacher)
                for part in parts_of(inputs, state.micro_batch)
            ]
        return torch.cat(parts)


def features_of(read: Outputs, teacher: Teacher) -> Tensor:
    """Return the features that were read, (batch, features)."""
    assert teacher.feature_tap is not None
    return read.inputs[teacher.feature_tap].flatten(start_dim=1)
