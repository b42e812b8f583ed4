"""The table of runs, one line each."""

from collections.abc import Callable, Sequence
from typing import Any

from beliefmatch.report.elements import Cell, Table, estimate_cell, number_cell, text_cell
from beliefmatch.report.groups import Group, count
from beliefmatch.report.results import estimate_of, missing_words
from beliefmatch.report.runs import Run
from beliefmatch.report.transition import alike


def runs_table(groups: Sequence[Group]) -> Table:
    """List all runs, one line each."""
    guides = dict.fromkeys(walks[0].guided_by for group in groups for walks in alike(group))
    columns: dict[str, Callable[[Group, Run], Cell]] = {
        "run": lambda _, run: text_cell(run.name),
        **({"settings": lambda group, _: text_cell(group.label)} if len(groups) > 1 else {}),
        "seed": lambda _, run: number_cell("exact", run.seed),
        "student accuracy": lambda _, run: _measured_cell(run, "student_accuracy"),
        "teacher accuracy": lambda _, run: _measured_cell(run, "teacher_accuracy"),
        "agreement": lambda _, run: _measured_cell(run, "agreement"),
        **{f"mean transition error, {guide} guides": _error_of(guide) for guide in guides},
        "rounds": lambda _, run: text_cell(f"{run.last_round:,} of {run.num_rounds:,}", value=run.last_round),
        "cost": lambda _, run: number_cell("cost", run.seconds),
        "peak memory": lambda _, run: number_cell(
            "bytes", _result(run, "peak_memory"), missing=missing_words([run], "peak_memory")
        ),
    }
    rows = tuple(tuple(make(group, run) for make in columns.values()) for group in groups for run in group.runs)
    return Table(caption=f"Each of {count(len(rows), 'run')}", columns=tuple(columns), rows=rows, sortable=True)


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
