"""Monotone maps from candidates to agreement, and what they are fitted on."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression

Row = dict[str, Any]
Numbers = NDArray[np.float64]
Fit = Callable[[Numbers, Numbers, Numbers], Callable[[Numbers], Numbers]]
"""Fits a map to features (pairs, features), true agreements and weights (pairs,); the map gives estimates (pairs,)."""

IN_8_BITS = "8 bits"
"""Budget of a pair whose student is another network, or the teacher, that onnxruntime runs in 8 bits."""
UNSEEN, WITHOUT = "agreement_unseen", "best_without_"
"""Agreement on the family that a recipe left out of training, and how names of such recipes begin."""
LEVEL = 0.9
"""Part of the truths that intervals shall hold."""
EDGE = 0.005
"""Fractions are held so far from 0 and 1 before their log odds are taken."""
DERIVED = {
    "agreement_best": "agreement",
    "agreement_sure_best": "agreement_sure",
    "agreement_class_mean_best": "agreement_class_mean",
    "agreement_worst_class_best": "agreement_worst_class",
    "divergence_best": "divergence",
    "class_shift_best": "class_shift",
    "sensitivity_best": "sensitivity",
    "crop_sensitivity_best": "crop_sensitivity",
    "confidence_gap_best": "confidence_gap",
    "student_class_entropy_best": "student_class_entropy",
    "teacher_confidence_best": "teacher_confidence",
}
"""Under the weights of maximum entropy where there are such, and balanced ones elsewhere: known for every pair, but for
crops, which the first pairs were not asked about and inputs other than images do not have."""
PAIRED = (
    "agreement_best",
    "agreement_sure_best",
    "agreement_worst_class_best",
    "agreement_worst_family",
    "divergence_best",
    "class_shift_best",
    "sensitivity_best",
    "student_class_entropy_best",
)
"""Candidates that may stand in a map. What the teacher alone decides may not: there are too few teachers to fit it."""
FALLING = ("divergence", "class_shift", "sensitivity", "crop_sensitivity", "transition_error")
"""How names begin of candidates that are small where a student is good."""
FRACTIONS = (
    "agreement",
    "class_shift",
    "sensitivity",
    "crop_sensitivity",
    "student_class_entropy",
    "teacher_class_entropy",
    "transition_error",
)
"""How names begin of candidates in [0, 1]."""


def value_of(row: Row, name: str) -> float | None:
    """Return a candidate of a pair; None where the networks do not allow it, or it was not asked for."""
    found = row["candidates"]
    if name == UNSEEN:
        return found.get(f"agreement_on_{row['recipe'].removeprefix(WITHOUT)}")
    if name not in DERIVED:
        return found.get(name)
    entropy = found.get(f"{DERIVED[name]}_entropy")
    return found.get(f"{DERIVED[name]}_balanced") if entropy is None else entropy


def maps(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return one or two of these candidates at a time, as a map may take them."""
    return [*((name,) for name in names), *combinations(names, 2)]


def leave_one_task_out(rows: Sequence[Row], names: Sequence[str], fit: Fit) -> Numbers:
    """Estimate each task by a map that was fitted on the others, (pairs,)."""
    found = np.zeros(len(rows))
    for part in groups(rows, "task"):
        others = [row for row in rows if row["task"] != rows[part[0]]["task"]]
        if others:
            found[part] = fit_on(others, names, fit)(features([rows[index] for index in part], names))
    return found


def fit_on(rows: Sequence[Row], names: Sequence[str], fit: Fit) -> Callable[[Numbers], Numbers]:
    return fit(features(rows, names), truths(rows), weights_of(rows))


def fit_isotonic(values: Numbers, true: Numbers, weights: Numbers) -> Callable[[Numbers], Numbers]:
    """Fit a monotone map of one candidate, rising or falling."""
    rising = rank_correlation(values[:, 0], true) >= 0
    model = IsotonicRegression(out_of_bounds="clip", increasing=rising).fit(values[:, 0], true, sample_weight=weights)
    return lambda new: model.predict(new[:, 0])


def fit_logistic(values: Numbers, true: Numbers, weights: Numbers) -> Callable[[Numbers], Numbers]:
    """Fit log odds of the agreement as a linear function of candidates that falls with none."""
    model = LinearRegression(positive=True).fit(values, log_odds(true), sample_weight=weights)
    return lambda new: fraction(model.predict(new))


def features(rows: Sequence[Row], names: Sequence[str]) -> Numbers:
    """Return candidates of pairs on scales without bounds that rise with the agreement, (pairs, candidates)."""
    return np.array([[unbounded(name, value_of(row, name) or 0.0) for name in names] for row in rows], dtype=float)


def unbounded(name: str, value: float) -> float:
    """Return the log odds of a fraction, the logarithm of a divergence, and others as they are."""
    sign = -1 if name.startswith(FALLING) else 1
    if name.startswith("divergence"):
        return sign * math.log(max(value, 1e-3))
    return sign * float(log_odds(np.array(value))) if name.startswith(FRACTIONS) else value


def truths(rows: Sequence[Row]) -> Numbers:
    return np.array([row["agreement"] for row in rows], dtype=float)


def weights_of(rows: Sequence[Row]) -> Numbers:
    """Return weights by which each task counts alike, (pairs,)."""
    counts = {row["task"]: 0 for row in rows}
    for row in rows:
        counts[row["task"]] += 1
    return np.array([1 / counts[row["task"]] for row in rows])


def error_of(rows: Sequence[Row], estimates: Numbers) -> float:
    return float(np.average(np.abs(estimates - truths(rows)), weights=weights_of(rows)))


def quantile_of(values: Numbers, weights: Numbers) -> float:
    """Compute the value below which lies as much of the weights as an interval shall hold."""
    order = np.argsort(values)
    position = np.searchsorted(np.cumsum(weights[order]) / weights.sum(), LEVEL)
    return float(values[order][min(int(position), len(values) - 1)])


def groups(rows: Sequence[Row], *keys: str, trained: bool = False) -> list[list[int]]:
    """Return the indices of pairs that are alike in these keys; of trained students alone, if wanted."""
    found: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(rows):
        if not trained or row["budget"].startswith("1/"):
            found.setdefault(tuple(row[key] for key in keys), []).append(index)
    return list(found.values())


def rank_correlation(values: Numbers, true: Numbers) -> float:
    """Compute Spearman's correlation; 0 where either is constant, since it then tells nothing."""
    if np.ptp(values) == 0 or np.ptp(true) == 0:
        return 0.0
    ranks = np.array([rankdata(values), rankdata(true)])
    return float(np.corrcoef(ranks)[0, 1])


def angle(values: Numbers) -> Numbers:
    """Return the arcsine of the root of fractions: on this scale an error means as much near 0 and 1 as between."""
    return np.arcsin(np.sqrt(np.clip(values, 0, 1)))


def log_odds(values: Numbers) -> Numbers:
    held = np.clip(values, EDGE, 1 - EDGE)
    return np.log(held / (1 - held))


def fraction(values: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-values))


def raw_values(rows: Sequence[Row], name: str) -> Numbers:
    """Return a candidate of pairs that all have it, (pairs,)."""
    return np.array([value_of(row, name) for row in rows], dtype=float)
