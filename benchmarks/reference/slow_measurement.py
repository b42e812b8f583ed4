"""Every number of `measure`, one example after the other in 64 bits: what beliefmatch.measurement is compared with.

Nothing of the library is used but the definition of a bin: no batches, no hooks, no shared sums.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

NUM_BINS = 15
TOP = 5
REACH = 1.959963984540054
"""Standard deviations of a normal distribution within which 95 % of it lie."""


@dataclass
class SlowScores:
    """Of one network, fractions."""

    top1: float
    top5: float
    calibration_error: float


@dataclass
class SlowMeasurement:
    """Of two networks; see `beliefmatch.measurement.Measurement`."""

    agreement: float
    divergence: float
    teacher: SlowScores
    student: SlowScores
    confusion: list[list[float]]
    by_class: list[tuple[int, float | None, float | None, float | None]] = field(default_factory=list)
    """Of each class: examples, agreement, accuracy of the teacher and of the student."""


def slow_measurement(
    teacher: nn.Module, student: nn.Module, inputs: Tensor, labels: list[int], pick: Callable[[Any], Tensor]
) -> SlowMeasurement:
    """Measure two networks.

    Args:
        teacher: maps a batch to something that holds logits; a copy runs.
        student: likewise.
        inputs: (examples, *shape), network inputs.
        labels: one for each.
        pick: returns the logits (batch, classes) of what a network returned.
    """
    logits = [[_logits_of(network, each, pick) for each in inputs] for network in (teacher, student)]
    classes = [[_first_largest(each) for each in of_network] for of_network in logits]
    count, num_classes = len(labels), len(logits[0][0])
    alike = [first == second for first, second in zip(*classes, strict=True)]
    right = [[found == label for found, label in zip(of_network, labels, strict=True)] for of_network in classes]
    pairs = list(zip(*classes, strict=True))
    confusion = [[pairs.count((row, column)) / count for column in range(num_classes)] for row in range(num_classes)]
    by_class = []
    for number in range(num_classes):
        rows = [row for row, label in enumerate(labels) if label == number]
        shares = [sum(each[row] for row in rows) / len(rows) if rows else None for each in (alike, *right)]
        by_class.append((len(rows), shares[0], shares[1], shares[2]))
    scores = [_score(*each, labels) for each in zip(logits, right, strict=True)]
    return SlowMeasurement(
        agreement=sum(alike) / count,
        divergence=sum(map(_divergence, *logits)) / count,
        teacher=scores[0],
        student=scores[1],
        confusion=confusion,
        by_class=by_class,
    )


def slow_wilson(fraction: float, count: int) -> tuple[float, float]:
    """Solve |p - fraction| = REACH * sqrt(p (1 - p) / count) for p by halving, below and above the fraction."""

    def is_within(rate: float) -> bool:
        return abs(rate - fraction) <= REACH * math.sqrt(max(0.0, rate * (1 - rate)) / count)

    ends = []
    for outside in (0.0, 1.0):
        inside, outer = fraction, outside
        for _ in range(200):
            middle = (inside + outer) / 2
            inside, outer = (middle, outer) if is_within(middle) else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def slow_macs(network: nn.Module, example: Tensor) -> int:
    """Count multiply-accumulates of convolutions and linear layers by what each gives for one example."""
    total = 0

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output.numel() * (weight.numel() // weight.shape[0])

    layers = [each for each in network.modules() if isinstance(each, nn.Linear | nn.Conv1d | nn.Conv2d)]
    handles = [each.register_forward_hook(count) for each in layers]
    with torch.no_grad():
        # Two, since some take no single one.
        network.eval()(example.repeat(2, *(1 for _ in example.shape[1:])))
    for handle in handles:
        handle.remove()
    return total // 2


def _logits_of(network: nn.Module, example: Tensor, pick: Callable[[Any], Tensor]) -> list[float]:
    """Compute the logits of one example, which passes twice at once, since some networks take no single one."""
    fresh = copy.deepcopy(network).eval()
    for tensor in (*fresh.parameters(), *fresh.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.double()
    with torch.no_grad():
        values = pick(fresh(torch.stack([example, example]).double()))[0].tolist()
    return [0.0, values[0]] if len(values) == 1 else values


def _first_largest(values: list[float]) -> int:
    return max(range(len(values)), key=lambda number: (values[number], -number))


def _softmax(values: list[float]) -> list[float]:
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def _divergence(teacher: list[float], student: list[float]) -> float:
    """Compute KL(teacher || student), in nats."""
    pairs = zip(_softmax(teacher), _softmax(student), strict=True)
    return sum(first * math.log(first / second) for first, second in pairs if first > 0)


def _score(logits: list[list[float]], right: list[bool], labels: list[int]) -> SlowScores:
    count = len(labels)
    in_top = 0
    gaps = [0.0] * NUM_BINS
    for values, hit, label in zip(logits, right, labels, strict=True):
        order = sorted(range(len(values)), key=lambda number: (-values[number], number))
        in_top += label in order[:TOP]
        confidence = max(_softmax(values))
        # Each bin holds its upper edge.
        gaps[max(0, math.ceil(confidence * NUM_BINS) - 1)] += confidence - hit
    error = sum(abs(gap) for gap in gaps) / count
    return SlowScores(top1=sum(right) / count, top5=in_top / count, calibration_error=error)
