"""Fields of result.json over runs: their values, their intervals, and why one is missing."""

from collections.abc import Sequence

from beliefmatch.report.measured import Estimate, Measured
from beliefmatch.report.quantities import UNFINISHED, UNLABELLED, UNMEASURED, UNRECORDED
from beliefmatch.report.runs import Run


def values_of(runs: Sequence[Run], name: str) -> list[float]:
    """Gather a field of result.json over the runs that have it."""
    found = [getattr(run.result, name) for run in runs if run.result is not None]
    return [value for value in found if value is not None]


def missing_words(runs: Sequence[Run], name: str) -> str:
    """Say why a field of result.json has no value."""
    if all(run.is_cut_short for run in runs):
        return UNFINISHED
    if name.endswith("accuracy") and any(run.measured is not None for run in runs):
        return UNLABELLED
    return UNMEASURED if name.endswith(("accuracy", "agreement")) else UNRECORDED


def estimate_of(measured: Measured | None, name: str) -> Estimate | None:
    """Take the interval that belongs to a field of result.json, where it was measured."""
    if measured is None:
        return None
    if name == "agreement":
        return measured.agreement
    scores = {"teacher_accuracy": measured.teacher, "student_accuracy": measured.student}.get(name)
    return None if scores is None else scores.top1
