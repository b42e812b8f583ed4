"""An optimiser with its schedule and gradient clip, for student and generator alike."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from beliefmatch.checks import check_not_negative, check_positive
from beliefmatch.errors import SettingsError
from beliefmatch.setting_names import Setting

PATH = "optimiser"
"""Where these settings stand in a recipe. A source checks what it gives its generator by itself."""


@dataclass(kw_only=True)
class Optimisation:
    """What moves the parameters of one network, and moves with them."""

    optimiser: torch.optim.Optimizer
    schedule: LambdaLR
    """Moves the learning rate by a factor that the number of rounds gives, so that no value has to be fetched."""
    gradient_clip: float
    """Largest L2 norm of all gradients together; infinity for none."""

    def step(self, fabric: Fabric) -> Tensor:
        """Average the gradients over processes, clip them, move the parameters and drop the gradients.

        Returns:
            (), the norm of the gradients before clipping.
        """
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        average_over_processes([p.grad for p in parameters if p.grad is not None], fabric)
        norm = clip_grad_norm_(parameters, self.gradient_clip)
        _begin_momentum(self.optimiser)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    def end_round(self) -> None:
        """Move the learning rate along its schedule, which counts rounds."""
        self.schedule.step()


@dataclass(frozen=True, kw_only=True)
class AbstractOptimiser(ABC):
    """Settings of an optimiser and its schedule."""

    @abstractmethod
    def check(self) -> None:
        """Check that every setting is in its range; a transfer calls this when it is made.

        Raises:
            SettingsError: one is not.
        """

    @abstractmethod
    def start(self, network: nn.Module, num_rounds: int) -> Optimisation:
        """Build the optimiser of a network, with a schedule over all rounds."""


@dataclass(frozen=True, kw_only=True)
class Adam(AbstractOptimiser):
    """Adam (betas .9 and .999, no decay)."""

    learning_rate: float
    """Length of a step. Falls to 0 by a cosine over all rounds, unless it is constant."""
    gradient_clip: float
    """Largest L2 norm of the gradient."""
    constant: bool = False
    """Whether the learning rate stays what it is."""

    def check(self) -> None:
        """Check learning rate and clip."""
        check_positive(self, PATH, "learning_rate", "gradient_clip")

    def start(self, network: nn.Module, num_rounds: int) -> Optimisation:
        """Build the optimiser of a network, with a schedule over all rounds."""

        def factor(rounds: int) -> float:
            return 1.0 if self.constant else _cosine(rounds, num_rounds)

        return _schedule(make_adam(network.parameters(), self.learning_rate), factor, gradient_clip=self.gradient_clip)


@dataclass(frozen=True, kw_only=True)
class StepwiseSgd(AbstractOptimiser):
    """Stochastic gradient descent with momentum, whose learning rate drops in steps. It does not clip.

    Defaults: the few-shot code of Micaelli & Storkey 2019, after Zagoruyko & Komodakis 2016.
    """

    learning_rate: float = 0.1
    """Length of a step, before its first drop."""
    momentum: float = 0.9
    """Part of the last step that is taken again."""
    weight_decay: float = 5e-4
    """Part of the weights that is added to their gradient."""
    drops: tuple[float, ...] = (0.3, 0.6, 0.8)
    """Fractions of all rounds after which the learning rate drops."""
    drop_factor: float = 0.2
    """The learning rate is multiplied by it at each drop."""

    def check(self) -> None:
        """Check learning rate, factor and drops."""
        check_positive(self, PATH, "learning_rate", "drop_factor")
        check_not_negative(self, PATH, "momentum", "weight_decay")
        if not all(0 < drop < 1 for drop in self.drops):
            path = f"{PATH}.drops"
            raise SettingsError(f"{Setting(path)} must be fractions of all rounds, between 0 and 1; got {self.drops}")

    def start(self, network: nn.Module, num_rounds: int) -> Optimisation:
        """Build the optimiser of a network, with a schedule over all rounds."""
        milestones = [round(drop * num_rounds) for drop in self.drops]

        def factor(rounds: int) -> float:
            return self.drop_factor ** sum(rounds >= milestone for milestone in milestones)

        return _schedule(_make_sgd(self, network), factor)


@dataclass(frozen=True, kw_only=True)
class CosineSgd(AbstractOptimiser):
    """Stochastic gradient descent with momentum, whose learning rate falls to 0 by a cosine over all rounds.

    It does not clip. Defaults: the DataFree benchmark of Fang et al. 2021.
    """

    learning_rate: float = 0.1
    """Length of the first step."""
    momentum: float = 0.9
    """Part of the last step that is taken again."""
    weight_decay: float = 1e-4
    """Part of the weights that is added to their gradient."""

    def check(self) -> None:
        """Check learning rate, momentum and decay."""
        check_positive(self, PATH, "learning_rate")
        check_not_negative(self, PATH, "momentum", "weight_decay")

    def start(self, network: nn.Module, num_rounds: int) -> Optimisation:
        """Build the optimiser of a network, with a schedule over all rounds."""
        return _schedule(_make_sgd(self, network), partial(_cosine, num_rounds=num_rounds))


def _cosine(rounds: int, num_rounds: int) -> float:
    return (1 + math.cos(math.pi * rounds / num_rounds)) / 2


def _make_sgd(settings: StepwiseSgd | CosineSgd, network: nn.Module) -> torch.optim.SGD:
    parameters = list(network.parameters())
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=_can_fuse(parameters),
    )


def _begin_momentum(optimiser: torch.optim.Optimizer) -> None:
    """Begin from a momentum of 0 where earlier steps had no gradient, as in blocks that train-mode passes may skip.

    The first step is the gradient either way; torch's fused kernel takes steps that are first for all or for none.
    """
    for group in optimiser.param_groups:
        moving = [each for each in group["params"] if each.grad is not None] if group.get("momentum") else []
        first = [each for each in moving if optimiser.state.get(each, {}).get("momentum_buffer") is None]
        if len(first) < len(moving):
            for each in first:
                optimiser.state[each]["momentum_buffer"] = torch.zeros_like(each)


def _schedule(
    optimiser: torch.optim.Optimizer, factor: Callable[[int], float], *, gradient_clip: float = math.inf
) -> Optimisation:
    schedule = LambdaLR(optimiser, factor)
    keep_rates_on_device(optimiser)
    return Optimisation(optimiser=optimiser, schedule=schedule, gradient_clip=gradient_clip)


def make_adam(parameters: Iterable[nn.Parameter], learning_rate: float, *, first_beta: float = 0.9) -> torch.optim.Adam:
    """Build Adam (second beta .999, no decay), with all its steps in one kernel where the device has one."""
    parameters = list(parameters)
    captured = any(parameter.is_cuda for parameter in parameters)
    betas = (first_beta, 0.999)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, fused=_can_fuse(parameters), capturable=captured)


def keep_rates_on_device(optimiser: torch.optim.Optimizer) -> None:
    """Move learning rates to the CUDA device of their parameters: a captured round reads them anew each time.

    Call it after the schedule is made, which keeps the numbers that they begin from.
    """
    for group in optimiser.param_groups:
        device = group["params"][0].device
        if device.type == "cuda":
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)


def _can_fuse(parameters: list[nn.Parameter]) -> bool:
    return all(each.device.type in ("cpu", "cuda") and each.is_floating_point() for each in parameters)


def average_over_processes(tensors: list[Tensor], fabric: Fabric) -> None:
    """Replace each tensor in place by its mean over all processes, in one message."""
    if tensors and fabric.world_size > 1:
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        averaged = fabric.all_reduce(joined, reduce_op="mean")
        assert isinstance(averaged, Tensor)
        for tensor, mean in zip(tensors, averaged.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))
