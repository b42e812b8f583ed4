"""What two multi-label networks do on the same examples: labels that are right and alike, one by one and together."""

from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.functional.confidence_intervals import bias_corrected_interval, bootstrap, resampled_means
from beliefmatch.functional.multi_label import binary_kl_divergence, f1_scores, predicted_labels
from beliefmatch.measurement.estimates import estimates_of, fraction_of_parts, fractions_of, with_width
from beliefmatch.measurement.predictions import run_pair
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.labels import check_labels
from beliefmatch.runs.schema.measurement import ClassScores, Estimate, LabelMeasurement, LabelScores

CHUNK = 64
"""Labels whose counts are resampled at once."""


def measure_labels(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples,
    *,
    batch_size: int,
    num_resamples: int,
) -> dict[str, Any]:
    """Measure two multi-label networks; see `measure_pair`.

    Returns:
        Fields of a `Measurement`.

    Raises:
        ExamplesError: labels are not (n, labels) of 0 and 1, or outputs are not finite.
    """
    first, second, divergence = run_pair(
        teacher, student, spec, examples, batch_size=batch_size, read=_read_predictions
    )
    true = examples.labels
    if true is not None:
        check_labels(true, first.shape[1], "multi_label")
        true = true.bool()
    (kl,) = estimates_of(*bootstrap(divergence[:, None].double(), lambda mean: mean, num_resamples=num_resamples))
    pair = score_labels(first, second, num_resamples=num_resamples)
    scores = [
        None if true is None else score_labels(true, each, num_resamples=num_resamples) for each in (first, second)
    ]
    return {
        "agreement": pair.accuracy,
        "divergence": kl,
        "classes": _by_label(first, second, true),
        "labels": LabelMeasurement(teacher=scores[0], student=scores[1], pair=pair),
    }


def score_labels(true: Tensor, predicted: Tensor, *, num_resamples: int) -> LabelScores:
    """Compute how near predicted labels are to true ones.

    Args:
        true: (examples, labels), bool.
        predicted: likewise.
        num_resamples: draws of the bootstrap over examples, whose labels are not independent of each other.
    """
    right = true == predicted
    (exact,) = fractions_of(right.all(dim=1, keepdim=True).double())
    sums = torch.stack([each.sum(dim=1) for each in _counts(true, predicted)], dim=1).double()
    (micro,) = estimates_of(*bootstrap(sums, _micro_f1, num_resamples=num_resamples))
    return LabelScores(
        accuracy=fraction_of_parts(right.double()),
        exact_match=exact,
        micro_f1=with_width(micro, len(true)),
        macro_f1=with_width(_macro_f1(true, predicted, num_resamples=num_resamples), len(true)),
    )


def _read_predictions(teacher: Tensor, student: Tensor) -> tuple[Tensor, ...]:
    return predicted_labels(teacher), predicted_labels(student), binary_kl_divergence(teacher, student).clamp_min(0)


def _counts(true: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where there are hits, false alarms and misses, (examples, labels) each."""
    return true & predicted, ~true & predicted, true & ~predicted


def _micro_f1(means: Tensor) -> Tensor:
    return f1_scores(means[..., None])[..., :1]


def _macro_f1(true: Tensor, predicted: Tensor, *, num_resamples: int) -> Estimate:
    """Compute macro F1, some labels at a time: equal seeds draw equal examples for all of them."""
    value, resampled = torch.zeros((), dtype=torch.float64), torch.zeros(num_resamples, dtype=torch.float64)
    for some_true, some_predicted in zip(true.split(CHUNK, dim=1), predicted.split(CHUNK, dim=1), strict=True):
        counts = torch.cat(_counts(some_true, some_predicted), dim=1).double()
        fraction = some_true.shape[1] / true.shape[1]
        for_all, for_each = counts.mean(dim=0), resampled_means(counts, num_resamples=num_resamples)
        value += fraction * f1_scores(for_all.unflatten(-1, (3, -1)))[1]
        resampled += fraction * f1_scores(for_each.unflatten(-1, (3, -1)))[:, 1]
    low, high = bias_corrected_interval(value, resampled)
    return Estimate(value=float(value), low=float(low), high=float(high))


def _by_label(teacher: Tensor, student: Tensor, true: Tensor | None) -> tuple[ClassScores, ...]:
    alike = fractions_of((teacher == student).double())
    none: list[Estimate | None] = [None] * len(alike)
    right = [none if true is None else fractions_of((each == true).double()) for each in (teacher, student)]
    return tuple(
        ClassScores(
            number=number,
            num_images=int((teacher if true is None else true)[:, number].sum()),
            agreement=estimate,
            teacher_accuracy=right[0][number],
            student_accuracy=right[1][number],
        )
        for number, estimate in enumerate(alike)
    )
