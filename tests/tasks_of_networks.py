"""Networks of labels and of numbers, small enough for a test, named on the command line as this file:function."""

from pathlib import Path

import torch
from torch import nn


def task_network(function: str) -> str:
    """Name one of the functions here as an architecture."""
    return f"{Path(__file__)}:{function}"


def _network(hidden: int, columns: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(12, hidden), nn.Tanh(), nn.Linear(hidden, columns))


def make_labels() -> nn.Module:
    """Four labels, each with a probability by itself."""
    network = _network(32, 4, seed=0)
    with torch.no_grad():
        network[2].weight.mul_(40)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return network.append(nn.Sigmoid())


def make_numbers() -> nn.Module:
    """Two numbers of different units."""
    network = _network(32, 2, seed=0)
    with torch.no_grad():
        network[2].weight.mul_(torch.tensor([[1e4], [1e-2]]))  # pyright: ignore[reportArgumentType, reportCallIssue]
        network[2].bias.copy_(torch.tensor([2e5, 0.5]))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return network
