"""Networks of users with habits of their own, named on the command line as tests/odd_networks.py:function."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tiny import make_conv_teacher


def odd(function: str) -> str:
    """Name one of the functions here as an architecture."""
    return f"{Path(__file__)}:{function}"


class Tied(nn.Module):
    """Two layers share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x.flatten(1)).relu()))


class Counting(nn.Module):
    """Its output depends on how often it ran, which its state dict does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.register_buffer("runs", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.runs += 1
        return self.fc(x.flatten(1)) * (1 + self.runs / 100)


class WithUnusedHead(nn.Module):
    """A batch-norm layer that never runs in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = make_conv_teacher(), nn.BatchNorm1d(10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)) if self.training else self.body(x)


class Asserting(nn.Module):
    """Fails in a way of its own."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3, "colour only"
        return x.flatten(1)


class Rounding(nn.Module):
    """Sees its inputs in a few steps, as a network for small hardware does; no gradient reaches them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = make_conv_teacher()

    def forward(self, x: Tensor) -> Tensor:
        return self.body((4 * x).round() / 4)


def make_rounding() -> nn.Module:
    return Rounding()


class OneOutput(nn.Module):
    """Knows two classes, and says how likely the second is."""

    def __init__(self, *, sigmoid: bool, flat: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 1)
        self.sigmoid, self.flat = sigmoid, flat

    def forward(self, x: Tensor) -> Tensor:
        logit = 9 * self.head(self.body(x).tanh().mean(dim=(2, 3)))
        logit = logit.sigmoid() if self.sigmoid else logit
        return logit.squeeze(1) if self.flat else logit


def make_logit() -> nn.Module:
    return OneOutput(sigmoid=False, flat=False)


def make_sigmoid() -> nn.Module:
    return OneOutput(sigmoid=True, flat=True)


def make_tied() -> nn.Module:
    return Tied()


def make_counting() -> nn.Module:
    return Counting()


def make_with_unused_head() -> nn.Module:
    return WithUnusedHead()


def make_asserting() -> nn.Module:
    return Asserting()


def make_double() -> nn.Module:
    return make_conv_teacher().double()


def make_bfloat16() -> nn.Module:
    return make_conv_teacher().bfloat16()


def make_inplace() -> nn.Module:
    """Begins with an operation in place, which would spoil the batch for whoever sees it next."""
    return nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 10))


def make_flat_batch_norm() -> nn.Module:
    """Cannot train on a batch of one."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))


def make_matrix() -> nn.Module:
    """Takes a matrix without channels, for which there is no generator."""
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 10))
