"""Whether two networks agree on the way from class to class, begun at inputs that no data gave.

Transition curves (Micaelli & Storkey 2019, section 4.3) begin at real examples. These begin at inputs of a `Probe`,
drawn by its balanced weights: the teacher's classes come evenly. They are candidates, as in `agreement_estimates`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from beliefmatch.functional.classification import agreement
from beliefmatch.measurement.probe import CHUNK, Probe
from beliefmatch.measurement.transition import STEP_SIZE, walk
from beliefmatch.networks.passes import run_padded

NUM_STEPS = 30
"""Positions of each walk."""


@dataclass(frozen=True, kw_only=True)
class WalkStarts:
    """Where walks begin and where they lead, the same for every student of a teacher."""

    inputs: Tensor
    """(walks, *shape), network inputs."""
    sought: Tensor
    """(walks,), int64: any class but the one that the teacher gives at the beginning, all alike."""


@dataclass(frozen=True, kw_only=True)
class Walks:
    """Where one network led. Walks that the teacher leads are made once for all its students."""

    positions: Tensor
    """(positions, *shape), network inputs: of each step all walks, at most `CHUNK` walks at a time."""
    logits: Tensor
    """(positions, classes), of the network that led."""
    sought: Tensor
    """(positions,), int64: the class that the walk leads to."""


@dataclass(frozen=True, kw_only=True)
class WalkAgreement:
    """How alike two networks are on walks."""

    agreement: float
    """How often both give the same class, over walks and steps, in [0, 1]."""
    error: float
    """Mean transition error: mean gap between the probabilities that both give to the class sought, in [0, 1]."""


def draw_starts(probe: Probe, *, count: int, seed: int = 0) -> WalkStarts:
    """Draw inputs to begin from, by balanced weights, and for each another class to walk to. No network runs.

    Args:
        probe: of the teacher.
        count: walks. An input may begin several.
        seed: of both draws.
    """
    random = torch.Generator().manual_seed(seed)
    rows = torch.multinomial(probe.weights["balanced"].cpu(), count, replacement=True, generator=random)
    logits = probe.teacher.logits[rows.to(probe.inputs.device)]
    offsets = torch.randint(1, logits.shape[1], (count,), generator=random).to(logits.device)
    sought = (logits.argmax(dim=1) + offsets) % logits.shape[1]
    return WalkStarts(inputs=probe.inputs[rows.to(probe.inputs.device)], sought=sought)


def make_walks(
    guide: nn.Module, starts: WalkStarts, *, num_steps: int = NUM_STEPS, step_size: float = STEP_SIZE
) -> Walks:
    """Let a network lead every walk: for each walk and step one pass forwards and one backwards.

    Args:
        guide: network whose gradient leads, in eval mode; it maps (batch, *shape) to logits (batch, classes).
        starts: of the walks.
        num_steps: positions of each walk.
        step_size: in network inputs per unit of gradient.
    """
    made = [
        (reached, logits.float(), sought)
        for inputs, sought in zip(starts.inputs.split(CHUNK), starts.sought.split(CHUNK), strict=True)
        for reached, logits in walk(guide, inputs, sought, num_steps=num_steps, step_size=step_size)
    ]
    positions, logits, sought = (torch.cat(parts) for parts in zip(*made, strict=True))
    return Walks(positions=positions, logits=logits, sought=sought)


def compare_on_walks(walks: Walks, follower: nn.Module) -> WalkAgreement:
    """Compare a network with the one that led, at every position: one pass for each.

    Args:
        walks: of the other network.
        follower: in eval mode; it maps (batch, *shape) to logits (batch, classes).
    """
    with torch.no_grad():
        other = torch.cat([run_padded(follower, part) for part in walks.positions.split(CHUNK)]).float()
    gaps = (softmax(walks.logits, dim=1) - softmax(other, dim=1)).gather(1, walks.sought[:, None]).abs()
    return WalkAgreement(
        agreement=float(agreement(walks.logits, other).double().mean()), error=float(gaps.double().mean())
    )
