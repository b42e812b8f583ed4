"""Transfers small enough to compare two ways of doing rounds bit by bit, in 64 bits and within seconds."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.recipes import digits, zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer


def make_conv_teacher() -> nn.Module:
    """Build a convnet with batch-norm for 1x8x8, with running statistics unlike those of a fresh layer."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        network(2 * torch.randn(64, 1, 8, 8))
    return network


def make_dropout_student() -> nn.Module:
    """Build a convnet with dropout, which draws from torch's own random state."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def make_plain_conv() -> nn.Module:
    """Build a convnet without batch-norm for 1x8x8."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)
    )


def make_mlp() -> nn.Module:
    """Build an MLP without batch-norm for 12 features."""
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 10))


def batch_norm_transfer(rounds: int) -> Transfer:
    """Build the digits recipe on networks with batch-norm and dropout."""
    transfer = digits(
        Setup(
            teacher=_network(make_conv_teacher.__name__),
            student=_student(make_dropout_student.__name__),
            rounds=rounds,
            batch_size=8,
        )
    )
    return replace(transfer, source=replace(transfer.source, student_steps=2, noise_size=6))


def vector_transfer(rounds: int) -> Transfer:
    """Build the paper's recipe on vectors, without batch-norm anywhere."""
    return zero_shot(
        Setup(
            teacher=_network(make_mlp.__name__),
            student=_student(make_mlp.__name__),
            shape=(12,),
            rounds=rounds,
            batch_size=8,
        )
    )


def attention_transfer(rounds: int) -> Transfer:
    """Build the paper's recipe with attention, on images and networks without batch-norm."""
    return zero_shot(
        Setup(
            teacher=_network(make_plain_conv.__name__),
            student=_student(make_plain_conv.__name__),
            shape=(1, 8, 8),
            taps=("0",),
            rounds=rounds,
            batch_size=10,
        ),
        objective=BeliefMatching(divergence_weight=0.1, attention_weight=2.0),
    )


def _network(function: str) -> Network:
    return Network(architecture=f"{Path(__file__)}:{function}")


def _student(function: str) -> NamedStudent:
    return NamedStudent(architecture=f"{Path(__file__)}:{function}")
