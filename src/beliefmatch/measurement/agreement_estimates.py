"""Numbers that may tell, without any data, how often a student agrees with its teacher on real data.

Each is a candidate: docs/estimate.md says how well it does on runs whose true agreement is known. None is a
measurement. All are computed from a `Probe` and a student's `ProbeOutputs` for it. What costs time are three passes of
the student for each input, one of them for `excess_sensitivity` alone, and one, where inputs are images, for
`excess_crop_sensitivity`. Then each candidate is free.
"""

import math

import torch
from torch import Tensor

from beliefmatch.functional.classification import agreement, confidence
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.measurement.probe import Probe, ProbeOutputs

SURE = 0.9
"""Confidence of the teacher from which it is sure: about what it has on most of its own data."""


def weighted_agreement(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> float:
    """Compute how often both networks give the same class, in [0, 1].

    Args:
        teacher_logits: (inputs, classes).
        student_logits: (inputs, classes).
        weights: (inputs,), at least 0, of any sum above 0.
    """
    return _mean(agreement(teacher_logits, student_logits), weights)


def weighted_divergence(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> float:
    """Compute the mean KL(teacher || student) in nats; for the arguments see `weighted_agreement`."""
    return _mean(kl_divergence(teacher_logits, student_logits), weights)


def sure_agreement(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> float:
    """Compute the agreement where the teacher is sure; where it never is, each input counts by its confidence."""
    sureness = confidence(teacher_logits)
    sure = weights * (sureness >= SURE)
    return weighted_agreement(teacher_logits, student_logits, sure if float(sure.sum()) > 0 else weights * sureness)


def class_agreements(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> Tensor:
    """Compute the agreement on each class of the teacher, (classes,), in [0, 1]; NaN where none has weight."""
    classes, alike = teacher_logits.argmax(dim=1), agreement(teacher_logits, student_logits)
    empty = weights.new_zeros(teacher_logits.shape[1])
    return empty.index_add(0, classes, weights * alike) / empty.index_add(0, classes, weights)


def confidence_gap(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> float:
    """Compute the teacher's mean confidence less the student's, in [-1, 1]."""
    return _mean(confidence(teacher_logits) - confidence(student_logits), weights)


def relative_class_entropy(logits: Tensor, weights: Tensor) -> float:
    """Compute the entropy of how often each class is given, as part of what it is where all are given evenly, 0 to 1.

    Of a teacher it says how well a set of inputs covers the classes (Frank & Davis 2025), of a student whether it lost
    some.
    """
    frequencies = class_frequencies(logits, weights)
    return float(torch.special.entr(frequencies).sum()) / math.log(len(frequencies))


def class_shift(teacher_logits: Tensor, student_logits: Tensor, weights: Tensor) -> float:
    """Compute the total variation between how often each network gives each class, in [0, 1]."""
    gaps = class_frequencies(teacher_logits, weights) - class_frequencies(student_logits, weights)
    return 0.5 * float(gaps.abs().sum())


def class_frequencies(logits: Tensor, weights: Tensor) -> Tensor:
    """Compute the part of the weights that each class gets, (classes,), sum 1."""
    return weights.new_zeros(logits.shape[1]).index_add(0, logits.argmax(dim=1), weights) / weights.sum()


def batch_norm_distance(moments: Tensor, weights: Tensor) -> float:
    """Compute how far inputs are from the statistics that batch-norm layers remember, at least 0.

    Args:
        moments: (inputs, moments), see `functional.batch_norm_moments`: 0 in the mean over what the layers remember.
        weights: (inputs,).
    """
    means = (weights / weights.sum()).to(moments) @ moments
    return float(means.square().mean().sqrt())


def excess_sensitivity(teacher: ProbeOutputs, student: ProbeOutputs, weights: Tensor) -> float:
    """Compute how often the student's class changes when an input moves a little and the teacher's does not, 0 to 1."""
    stays = agreement(teacher.logits, teacher.moved_logits)
    return _mean(stays & ~agreement(student.logits, student.moved_logits), weights)


def excess_crop_sensitivity(teacher: ProbeOutputs, student: ProbeOutputs, weights: Tensor) -> float | None:
    """Compute how often a crop changes the student's class and not the teacher's, 0 to 1; None: they are no images."""
    if teacher.cropped_logits is None or student.cropped_logits is None:
        return None
    stays = agreement(teacher.logits, teacher.cropped_logits)
    return _mean(stays & ~agreement(student.logits, student.cropped_logits), weights)


def candidates(probe: Probe, student: ProbeOutputs) -> dict[str, float | None]:
    """Compute every candidate by its name. None: the networks do not allow it.

    Args:
        probe: of the teacher.
        student: its outputs for the inputs of the probe.
    """
    logits = probe.teacher.logits, student.logits
    found: dict[str, float | None] = {}
    for kind in ("balanced", "entropy"):
        weights = probe.weights.get(kind)
        found |= {f"{name}_{kind}": value for name, value in _by_weights(probe.teacher, student, weights).items()}
    for family in ("leaves", "areas", "curves", "refined"):
        rows, without = probe.families.get(family), probe.weights_without.get(family)
        found[f"agreement_on_{family}"] = None if rows is None else weighted_agreement(*logits, rows.float())
        found[f"agreement_without_{family}"] = None if without is None else weighted_agreement(*logits, without)
    found["agreement_worst_family"] = min(weighted_agreement(*logits, rows.float()) for rows in probe.families.values())
    even = torch.ones_like(probe.weights["balanced"])
    found["teacher_class_entropy"] = relative_class_entropy(probe.teacher.logits, even)
    return found


def _by_weights(teacher: ProbeOutputs, student: ProbeOutputs, weights: Tensor | None) -> dict[str, float | None]:
    """Compute what depends on the weights of inputs. None: there are no such weights."""
    even = torch.ones_like(teacher.logits[:, 0]) if weights is None else weights
    logits = teacher.logits, student.logits
    by_class = class_agreements(*logits, even)
    by_class = by_class[by_class.isfinite()]
    found: dict[str, float | None] = {
        "agreement": weighted_agreement(*logits, even),
        "agreement_sure": sure_agreement(*logits, even),
        "agreement_class_mean": float(by_class.mean()),
        "agreement_worst_class": float(by_class.min()),
        "divergence": weighted_divergence(*logits, even),
        "confidence_gap": confidence_gap(*logits, even),
        "student_class_entropy": relative_class_entropy(student.logits, even),
        "class_shift": class_shift(*logits, even),
        "sensitivity": excess_sensitivity(teacher, student, even),
        "crop_sensitivity": excess_crop_sensitivity(teacher, student, even),
        "teacher_confidence": _mean(confidence(teacher.logits), even),
        "distance_teacher_layers": _distance(teacher, even),
        "distance_student_layers": _distance(student, even),
    }
    return found if weights is not None else dict.fromkeys(found)


def _distance(outputs: ProbeOutputs, weights: Tensor) -> float | None:
    return None if outputs.moments is None else batch_norm_distance(outputs.moments, weights)


def _mean(values: Tensor, weights: Tensor) -> float:
    """Compute a weighted mean of numbers or of truths, (inputs,)."""
    double = weights.double()
    return float((double / double.sum()) @ values.double())
