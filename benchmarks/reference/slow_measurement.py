"""Every number of `measure`, one example after the other in 64 bits: what beliefmatch.measurement is compared with.

Nothing of the library is used but the definition of a bin: no batches, no hooks, no shared sums.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NUM_BINS = 15
TOP = 5
REACH = 1.959963984540054
"""Standard deviations of a normal distribution within which 95 % of it lie."""
NUM_RESAMPLES = 1000
TIE = 2e-7
"""Difference of two statistics, as a fraction of the largest, that is rounding alone, since networks compute in 32
bits."""
NUM_SIMULATIONS = 4000
FACTORS = [0.05 * step for step in range(81)]
"""Multiples of the observed gaps that are simulated for the estimate without bias."""
Interval = tuple[float, float]


@dataclass
class SlowScores:
    """Of one network, fractions."""

    top1: float
    top5: float
    calibration_error: float
    calibration_interval: Interval
    debiased: tuple[float, float, float]
    """Calibration error without bias, and the ends of its interval, by simulations of its own."""


@dataclass
class SlowMeasurement:
    """Of two networks; see `beliefmatch.measurement.Measurement`."""

    agreement: float
    divergence: float
    divergence_interval: Interval
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
    # The draws are part of the definition: their seed is 0.
    draws = torch.randint(count, (NUM_RESAMPLES, count), generator=torch.Generator().manual_seed(0)).tolist()
    scores = [_score(*each, labels, draws) for each in zip(logits, right, strict=True)]
    divergences = list(map(_divergence, *logits))
    return SlowMeasurement(
        agreement=sum(alike) / count,
        divergence=_mean(divergences),
        divergence_interval=slow_bootstrap(_mean, divergences, draws),
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
    pairs = zip(_log_softmax(teacher), _log_softmax(student), strict=True)
    return sum(math.exp(first) * (first - second) for first, second in pairs)


def _log_softmax(values: list[float]) -> list[float]:
    largest = max(values)
    total = math.log(math.fsum(math.exp(value - largest) for value in values))
    return [value - largest - total for value in values]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def slow_bootstrap(statistic: Callable[[list[Any]], float], examples: list[Any], draws: list[list[int]]) -> Interval:
    """Compute the interval of a statistic of examples by resampling, corrected for the median's bias (Efron 1981)."""
    value = statistic(examples)
    resampled = sorted(statistic([examples[row] for row in draw]) for draw in draws)
    rounding = TIE * max(map(abs, (value, resampled[0], resampled[-1])))
    tied = sum(abs(each - value) <= rounding for each in resampled)
    below = (sum(each < value - rounding for each in resampled) + tied / 2) / len(resampled)
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 1 / len(resampled)), 1 - 1 / len(resampled)))
    low, high = (_quantile(resampled, normal.cdf(2 * bias + side * REACH)) for side in (-1, 1))
    return low, high


def _quantile(ordered: Sequence[float], at: float) -> float:
    position = at * (len(ordered) - 1)
    before = math.floor(position)
    after = min(before + 1, len(ordered) - 1)
    return ordered[before] + (position - before) * (ordered[after] - ordered[before])


def _bin(confidence: float) -> int:
    """Return the number of a confidence's bin; each holds its upper edge."""
    return max(0, math.ceil(confidence * NUM_BINS) - 1)


def _calibration_error(examples: list[tuple[float, bool]]) -> float:
    """Compute the calibration error of examples, each with its confidence and whether it is right."""
    gaps = [0.0] * NUM_BINS
    for confidence, hit in examples:
        gaps[_bin(confidence)] += confidence - hit
    return sum(abs(gap) for gap in gaps) / len(examples)


def _calibration_interval(examples: list[tuple[float, bool]], draws: list[list[int]]) -> Interval:
    """Resample, and let the error be as large as the gap over all bins may be by Wilson's interval of the accuracy."""
    low, high = slow_bootstrap(_calibration_error, examples, draws)
    accuracy = _mean([float(hit) for _, hit in examples])
    mean = _mean([confidence for confidence, _ in examples])
    first, last = slow_wilson(accuracy, len(examples))
    nearest = min(max(mean, first), last)
    least = _calibration_error(examples) if 0 < accuracy < 1 else abs(nearest - mean)
    return min(low, least), max(high, _calibration_error(examples), abs(first - mean), abs(last - mean))


def slow_debiased(examples: list[tuple[float, bool]]) -> tuple[float, float, float]:
    """Estimate the calibration error without bias, with its interval, by simulating errors of many sizes."""
    bins = [[each for each in examples if _bin(each[0]) == number] for number in range(NUM_BINS)]
    filled = [each for each in bins if each]
    confidences = [_mean([confidence for confidence, _ in each]) for each in filled]
    gaps = [_mean([float(hit) for _, hit in each]) - mean for each, mean in zip(filled, confidences, strict=True)]
    random = np.random.default_rng(0)
    truths: list[float] = []
    quantiles: list[list[float]] = [[], [], [], []]
    for factor in FACTORS:
        errors = np.zeros(NUM_SIMULATIONS)
        truth = 0.0
        for each, confidence, gap in zip(filled, confidences, gaps, strict=True):
            rate = min(max(confidence + factor * gap, 0.0), 1.0)
            hits = random.binomial(len(each), rate, NUM_SIMULATIONS)
            errors += np.abs(hits / len(each) - confidence) * len(each) / len(examples)
            truth += abs(rate - confidence) * len(each) / len(examples)
        truths.append(truth)
        ordered = sorted(errors.tolist())
        for found, at in zip(quantiles, (0.5, 0.025, 0.975, 0.95), strict=True):
            found.append(max([*found[-1:], _quantile(ordered, at)]))
    observed = _calibration_error(examples)
    middle, least, most, most_alone = quantiles
    ends = [alone if small <= middle[0] else large for small, large, alone in zip(least, most, most_alone, strict=True)]
    ends = [max(ends[: number + 1]) for number in range(len(ends))]
    value, low = _truth_at(observed, middle, truths), _truth_at(observed, ends, truths)
    high = _truth_at(max(observed, middle[0]), least, truths)
    accuracy = _mean([float(hit) for _, hit in examples])
    mean = _mean([confidence for confidence, _ in examples])
    overall = max(abs(end - mean) for end in slow_wilson(accuracy, len(examples)))
    return value, min(low, value), max(high, value, overall)


def _truth_at(observed: float, quantiles: list[float], truths: list[float]) -> float:
    """Return the true error at which a quantile of the simulated ones is the observed one."""
    above = next((number for number, each in enumerate(quantiles) if each >= observed), len(quantiles))
    if above in (0, len(quantiles)):
        return truths[min(above, len(truths) - 1)]
    before, after = quantiles[above - 1], quantiles[above]
    part = (observed - before) / max(after - before, 1e-12)
    return truths[above - 1] + part * (truths[above] - truths[above - 1])


def _score(logits: list[list[float]], right: list[bool], labels: list[int], draws: list[list[int]]) -> SlowScores:
    in_top = 0
    examples: list[tuple[float, bool]] = []
    for values, hit, label in zip(logits, right, labels, strict=True):
        order = sorted(range(len(values)), key=lambda number: (-values[number], number))
        in_top += label in order[:TOP]
        examples.append((max(_softmax(values)), hit))
    return SlowScores(
        top1=sum(right) / len(labels),
        top5=in_top / len(labels),
        calibration_error=_calibration_error(examples),
        calibration_interval=_calibration_interval(examples, draws),
        debiased=slow_debiased(examples),
    )
