"""Results of single runs: fields of result.json, why one is missing, and the table of runs."""

from collections.abc import Callable, Sequence
from typing import Any

from beliefmatch.report.elements import Cell, Table, estimate_cell, number_cell, text_cell
from beliefmatch.report.groups import Group, count
from beliefmatch.report.quantities import UNFINISHED, UNLABELLED, UNMEASURED, UNRECORDED
from beliefmatch.report.runs import Run
from beliefmatch.report.scores import kind_of
from beliefmatch.report.transition_curves import walks_of
from beliefmatch.runs.schema.measurement import Estimate, MeasurementRecord

MAX_ROUNDS = 1e12
"""What a recipe is taken to do at most; a file that says more is wrong."""

MEASURED = ("accuracy", "agreement", "divergence", "top5", "calibration_error")
"""Ends of the names of what only data tells."""
LABELLED = ("accuracy", "top5", "calibration_error")
"""Those among them that only labels tell."""


def values_of(runs: Sequence[Run], name: str) -> list[float]:
    """Return a field of result.json of the runs that have it."""
    return [value for run in runs if (value := _result(run, name)) is not None]


def missing_words(runs: Sequence[Run], name: str) -> str:
    """Return why a field of result.json has no value."""
    if all(run.is_cut_short for run in runs):
        return UNFINISHED
    if name.endswith(LABELLED) and any(run.measured is not None for run in runs):
        return UNLABELLED
    return UNMEASURED if name.endswith(MEASURED) else UNRECORDED


def estimate_of(measured: MeasurementRecord | None, name: str) -> Estimate | None:
    """Return agreement, divergence, or a score of teacher_ or student_ with its interval, where it was measured."""
    if measured is None:
        return None
    if name in ("agreement", "divergence"):
        return measured.agreement if name == "agreement" else measured.divergence
    network, _, score = name.partition("_")
    scores = {"teacher": measured.teacher, "student": measured.student}.get(network)
    found = {"accuracy": "top1", "top5": "top5", "calibration_error": "calibration_error"}.get(score)
    return None if scores is None or found is None else getattr(scores, found)


def runs_table(groups: Sequence[Group]) -> Table:
    """Return a table of all runs, one line each."""
    guides = dict.fromkeys(walks[0].guided_by for group in groups for walks in walks_of(group))
    tasks = {run.task for group in groups for run in group.runs}
    has_numbers, has_beliefs = "regression" in tasks, bool(tasks - {"regression"})
    columns: dict[str, Callable[[Group, Run], Cell]] = {
        "run": lambda _, run: text_cell(run.name),
        **({"settings": lambda group, _: text_cell(group.label)} if len(groups) > 1 else {}),
        "seed": lambda _, run: number_cell("exact", run.seed),
        **(COLUMNS_OF_BELIEFS if has_beliefs else {}),
        **(COLUMNS_OF_NUMBERS if has_numbers else {}),
        **{f"mean transition error, {guide} guides": _error_of(guide) for guide in guides},
        "rounds": lambda _, run: Cell(
            text=f"{run.last_round:,} of {run.num_rounds:,}", value=run.last_round, is_number=True
        ),
        "training time": lambda _, run: number_cell("cost", run.seconds),
        "peak memory": lambda _, run: number_cell(
            "bytes", _result(run, "peak_memory"), missing=missing_words([run], "peak_memory")
        ),
    }
    rows = tuple(tuple(make(group, run) for make in columns.values()) for group in groups for run in group.runs)
    return Table(caption=f"Each of {count(len(rows), 'run')}", columns=tuple(columns), rows=rows, sortable=True)


def _number_cell(run: Run, name: str) -> Cell:
    numbers = run.measured and run.measured.numbers
    return estimate_cell(
        kind_of(name), numbers and getattr(numbers.pair, name), missing=missing_words([run], "agreement")
    )


COLUMNS_OF_BELIEFS: dict[str, Callable[[Group, Run], Cell]] = {
    "student accuracy": lambda _, run: _measured_cell(run, "student_accuracy"),
    "teacher accuracy": lambda _, run: _measured_cell(run, "teacher_accuracy"),
    "agreement": lambda _, run: _measured_cell(run, "agreement"),
}
COLUMNS_OF_NUMBERS: dict[str, Callable[[Group, Run], Cell]] = {
    "R\N{SUPERSCRIPT TWO} with the teacher": lambda _, run: _number_cell(run, "r2"),
    "mean absolute difference": lambda _, run: _number_cell(run, "mean_absolute_error"),
}


def _measured_cell(run: Run, name: str) -> Cell:
    estimate = estimate_of(run.measured, name)
    if estimate is not None:
        return estimate_cell("fraction", estimate)
    return number_cell("fraction", _result(run, name), missing=missing_words([run], name))


def _error_of(guide: str) -> Callable[[Group, Run], Cell]:
    def cell(_: Group, run: Run) -> Cell:
        walk = run.measured and run.measured.transition
        return estimate_cell("number", walk.error if walk and walk.guided_by == guide else None, missing="not measured")

    return cell


def _result(run: Run, name: str) -> Any:
    return None if run.result is None else getattr(run.result, name)


def has_shared_teacher(group: Group, name: str, values: Sequence[float]) -> bool:
    """Whether values are one teacher's, whom all runs have in common, so that they have no deviation."""
    return name == "teacher_accuracy" and not group.owns_teachers and len(set(values)) == 1


def usual_rounds(run: Run) -> int | None:
    """Return the rounds that the recipe of a finished run does by default; None where it has no default."""
    if run.result is None or not run.result.rounds_fraction:
        return None
    usual = run.result.rounds / run.result.rounds_fraction
    return round(usual) if usual < MAX_ROUNDS else None
