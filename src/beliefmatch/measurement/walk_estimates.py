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


def compare_on_walks(
    guide: nn.Module,
    follower: nn.Module,
    starts: WalkStarts,
    *,
    num_steps: int = NUM_STEPS,
    step_size: float = STEP_SIZE,
) -> WalkAgreement:
    """Let one network lead every walk and compare the other with it at each position.

    For each walk and step it costs one pass of each network, and one backward pass of the guide.

    Args:
        guide: network whose gradient leads, in eval mode; it maps (batch, *shape) to logits (batch, classes).
        follower: network that is compared, likewise.
        starts: of the walks.
        num_steps: positions of each walk.
        step_size: in network inputs per unit of gradient.
    """
    alike, gaps = list[Tensor](), list[Tensor]()
    for inputs, sought in zip(starts.inputs.split(CHUNK), starts.sought.split(CHUNK), strict=True):
        for reached, logits in walk(guide, inputs, sought, num_steps=num_steps, step_size=step_size):
            with torch.no_grad():
                other = run_padded(follower, reached)
            alike.append(agreement(logits, other))
            difference = softmax(logits.float(), dim=1) - softmax(other.float(), dim=1)
            gaps.append(difference.gather(1, sought[:, None]).squeeze(1).abs())
    return WalkAgreement(
        agreement=float(torch.cat(alike).double().mean()), error=float(torch.cat(gaps).double().mean())
    )


def walk_candidates(teacher: nn.Module, student: nn.Module, starts: WalkStarts) -> dict[str, float]:
    """Compute every candidate on walks by its name: agreement and error, led by teacher and by student.

    Args:
        teacher: in eval mode.
        student: in eval mode.
        starts: of the walks, see `draw_starts`.
    """
    led = {"teacher": compare_on_walks(teacher, student, starts), "student": compare_on_walks(student, teacher, starts)}
    return {
        f"{name}_led_by_{guide}": value
        for guide, found in led.items()
        for name, value in (("agreement_on_walks", found.agreement), ("transition_error", found.error))
    }
