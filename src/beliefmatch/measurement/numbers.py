"""What two regressions do on the same examples: how far their numbers are from each other and from the labels."""

from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.functional.confidence_intervals import bootstrap
from beliefmatch.measurement.estimates import estimates_of
from beliefmatch.measurement.predictions import run_pair
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.labels import check_labels
from beliefmatch.runs.schema.measurement import Estimate, NumberMeasurement, NumberScores

EACH = 3
"""Scores of a number: mean absolute error, root mean squared error and R^2."""


def measure_numbers(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples,
    *,
    batch_size: int,
    num_resamples: int,
) -> dict[str, Any]:
    """Measure two regressions; see `measure_pair`.

    Returns:
        Fields of a `Measurement`.

    Raises:
        ExamplesError: labels are not numbers for each output, or outputs are not finite.
    """
    first, second = run_pair(teacher, student, spec, examples, batch_size=batch_size, read=lambda *outputs: outputs)
    true = examples.labels
    if true is not None:
        check_labels(true, first.shape[1], "regression")
        true = true.double().view(len(first), -1)
    pair, *by_output = score_numbers(first, second, num_resamples=num_resamples)
    scores = [
        None if true is None else score_numbers(true, each, num_resamples=num_resamples)[0] for each in (first, second)
    ]
    return {
        "agreement": pair.r2,
        "divergence": Estimate(
            value=_half(pair.r2.value, first), low=_half(pair.r2.high, first), high=_half(pair.r2.low, first)
        ),
        "classes": (),
        "numbers": NumberMeasurement(teacher=scores[0], student=scores[1], pair=pair, by_output=tuple(by_output)),
    }


def _half(r2: float, outputs: Tensor) -> float:
    """Return half the squared differences that a mean R^2 leaves, in units of variances, summed over outputs."""
    return (1 - r2) / 2 * outputs.shape[1]


def score_numbers(true: Tensor, predicted: Tensor, *, num_resamples: int) -> list[NumberScores]:
    """Compute how near predicted numbers are to true ones: the mean over outputs first, then each.

    Args:
        true: (examples, outputs).
        predicted: likewise.
        num_resamples: draws of the bootstrap over examples.
    """
    true, predicted = true.double(), predicted.double()
    # R^2 needs the variance, which of numbers far from 0 is lost in the difference of two means of squares.
    centred = true - true.mean(dim=0)
    error = predicted - true
    columns = torch.cat([error.abs(), error.square(), centred, centred.square()], dim=1)
    estimates = estimates_of(*bootstrap(columns, _statistics, num_resamples=num_resamples))
    return [
        NumberScores(mean_absolute_error=absolute, root_mean_squared_error=root, r2=r2)
        for absolute, root, r2 in (estimates[at : at + EACH] for at in range(0, len(estimates), EACH))
    ]


def _statistics(means: Tensor) -> Tensor:
    """Return the scores of all outputs, then of each, (..., (1 + outputs) * 3)."""
    absolute, squared, centre, power = means.unflatten(-1, (4, -1)).unbind(dim=-2)
    variance = power - centre.square()
    tiny = torch.finfo(variance.dtype).tiny
    explained = 1 - squared / variance.clamp_min(tiny)
    # Nothing is left to explain where all true numbers are equal.
    r2 = torch.where(variance > tiny, explained, (squared == 0).to(explained))
    each = torch.stack([absolute, squared.sqrt(), r2], dim=-1)
    return torch.cat([each.mean(dim=-2, keepdim=True), each], dim=-2).flatten(-2)
