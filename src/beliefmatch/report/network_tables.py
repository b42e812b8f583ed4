"""The tables of results: teacher and student side by side, and what belongs to the pair or to the run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from beliefmatch.number_texts import three_digits
from beliefmatch.report.elements import Cell, Table, estimate_cell, mean_cell, number_cell, text_cell
from beliefmatch.report.groups import Group, count
from beliefmatch.report.quantities import UNFINISHED, Kind, show_duration
from beliefmatch.report.results import estimate_of, has_shared_teacher, missing_words, usual_rounds, values_of
from beliefmatch.report.runs import Run
from beliefmatch.report.transition_curves import walks_of
from beliefmatch.runs.schema.measurement import MeasurementRecord

NETWORKS = ("teacher", "student")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One line of a table: a field of result.json."""

    name: str
    """Of the field; in the table of networks with teacher_ and student_ before it."""
    title: str
    kind: Kind
    is_fixed: bool = False
    """Whether the architecture or the settings alone decide it, so that it has no deviation."""


BY_NETWORK = (
    Field(name="accuracy", title="accuracy", kind="fraction"),
    Field(name="top5", title="top-5 accuracy", kind="fraction"),
    Field(name="calibration_error", title="calibration error", kind="fraction"),
    Field(name="parameters", title="parameters", kind="exact", is_fixed=True),
    Field(name="bytes", title="size", kind="bytes", is_fixed=True),
    Field(name="macs", title="MACs", kind="count", is_fixed=True),
    Field(name="latency", title="latency", kind="seconds"),
)
SCORES = ("top5", "calibration_error")
"""Fields that a measurement holds and result.json does not; their lines are left out where nothing has them."""
OF_PAIR = (
    Field(name="agreement", title="agreement", kind="fraction"),
    Field(name="divergence", title="KL(teacher || student), nats", kind="number"),
)
OF_RUN = (
    Field(name="seconds", title="training time", kind="cost"),
    Field(name="peak_memory", title="peak memory", kind="bytes"),
    Field(name="student_passes", title="examples passed through the student", kind="count", is_fixed=True),
    Field(name="teacher_passes", title="examples passed through the teacher", kind="count", is_fixed=True),
)
DEVIATIONS = ", mean ± sample standard deviation over runs"
EXPLAINED = (
    "Size is that of parameters and buffers. MACs are multiply-accumulates. MACs and latency (median) are those of one "
    "example."
)


def networks_table(groups: Sequence[Group]) -> Table | None:
    """Return a table of teacher and student side by side, for each group; None where no run has a result."""
    if all(run.is_cut_short for group in groups for run in group.runs):
        return None
    single = len(groups) == 1
    rows = tuple(
        (text_cell(field.title), *(cell for group in groups for cell in _pair(group, field, ratio=single)))
        for field in BY_NETWORK
        if _is_shown(groups, field.name)
    )
    many = any(len(group.runs) > 1 for group in groups)
    return Table(
        caption=f"Teacher and student{DEVIATIONS if many else ''}. {EXPLAINED}",
        columns=("", *NETWORKS, "ratio") if single else ("", *(NETWORKS * len(groups))),
        over=() if single else (("", 1), *((f"{group.label} ({group.description})", 2) for group in groups)),
        rows=rows,
    )


def run_table(groups: Sequence[Group]) -> Table:
    """Return a table of what belongs to both networks, and of what the run did and cost, for each group."""
    rows = [(text_cell("rounds"), *(_rounds_cell(group) for group in groups))]
    rows += [(text_cell(field.title), *(_cell(group, field, field.name) for group in groups)) for field in OF_RUN]
    if all(run.is_cut_short for group in groups for run in group.runs):
        rows = rows[:2]
    else:
        has_beliefs = any(run.task != "regression" for group in groups for run in group.runs)
        pair = [field for field in OF_PAIR if field.name == "agreement" or any(map(_measured, groups))]
        pair = pair if has_beliefs else []
        agreement = [(text_cell(field.title), *(_cell(group, field, field.name) for group in groups)) for field in pair]
        rows = [*agreement, *_transition_rows(groups), *rows]
    single = len(groups) == 1
    return Table(
        caption="Both networks together, and the run" if len(rows) > 2 else "So far",
        columns=("", "value") if single else ("", *(group.label for group in groups)),
        rows=tuple(rows),
    )


def _measured(group: Group) -> list[MeasurementRecord]:
    return [run.measured for run in group.runs if run.measured is not None]


def _is_shown(groups: Sequence[Group], name: str) -> bool:
    """Whether a line is shown: a score where something has it, accuracy where outputs can be right."""
    if name == "accuracy":
        return any(run.task != "regression" for group in groups for run in group.runs)
    return name not in SCORES or any(_has_scores(group, name) for group in groups)


def _has_scores(group: Group, name: str) -> bool:
    return any(estimate_of(found, f"student_{name}") is not None for found in _measured(group))


def _pair(group: Group, field: Field, *, ratio: bool) -> list[Cell]:
    cells = [_cell(group, field, f"{network}_{field.name}") for network in NETWORKS]
    if ratio:
        cells.append(Cell(text="") if field.kind == "fraction" else _ratio(cells))
    return cells


def _ratio(cells: Sequence[Cell]) -> Cell:
    teacher, student = (cell.value for cell in cells)
    if isinstance(teacher, int | float) and isinstance(student, int | float) and student > 0:
        ratio = teacher / student
        return Cell(text=f"{three_digits(ratio)} \N{MULTIPLICATION SIGN}", value=ratio, is_number=True)
    return Cell(text="")


def _cell(group: Group, field: Field, name: str) -> Cell:
    if all(run.is_cut_short for run in group.runs):
        return _cut_short_cell(group.runs, field)
    values, missing = _values(group, field, name), missing_words(group.runs, name)
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        return estimate_cell(field.kind, estimate, missing=missing)
    same = len(set(values)) == 1 and (field.is_fixed or len(group.runs) == 1)
    if same or has_shared_teacher(group, name, values):
        detail = show_duration(values[0]) if field.kind == "cost" else ""
        return number_cell(field.kind, values[0], detail=detail)
    return mean_cell(field.kind, values, missing=missing, of=len(group.runs))


def _values(group: Group, field: Field, name: str) -> list[float]:
    """Return a field of the runs that have it: of their result.json, or of their measurement.json."""
    if field.name not in (*SCORES, "divergence"):
        return values_of(group.runs, name)
    estimates = [estimate_of(found, name) for found in _measured(group)]
    return [estimate.value for estimate in estimates if estimate is not None]


def _cut_short_cell(runs: Sequence[Run], field: Field) -> Cell:
    if field.name == "seconds":
        return mean_cell(field.kind, [run.seconds for run in runs])
    return Cell(text=UNFINISHED)


def _rounds_cell(group: Group) -> Cell:
    """Return the rounds that were done, and of how many: those that were planned, or that the recipe usually does."""
    words = dict.fromkeys(_rounds(run) for run in group.runs)
    return Cell(text=", ".join(words), value=group.runs[0].last_round, is_number=len(words) == 1)


def _rounds(run: Run) -> str:
    whole = run.num_rounds if run.is_cut_short else usual_rounds(run)
    return f"{run.last_round:,}" if whole is None or whole == run.last_round else f"{run.last_round:,} of {whole:,}"


def _transition_rows(groups: Sequence[Group]) -> list[tuple[Cell, ...]]:
    guides = dict.fromkeys(walks[0].guided_by for group in groups for walks in walks_of(group))
    with_interval = " (two standard errors)" if all(len(group.runs) == 1 for group in groups) else ""
    return [
        (
            text_cell(f"mean transition error, {guide} guides{with_interval}"),
            *(_transition_cell(group, guide) for group in groups),
        )
        for guide in guides
    ]


def _transition_cell(group: Group, guide: str) -> Cell:
    found = [walks for walks in walks_of(group) if walks[0].guided_by == guide]
    if not found:
        return Cell(text="not measured")
    walks = max(found, key=len)
    of = f"of {count(walks[0].num_images, 'example')}"
    if len(group.runs) == 1:
        cell = estimate_cell("number", walks[0].error)
        return replace(cell, detail=f"{cell.detail} {of}")
    cell = mean_cell("number", [walk.error.value for walk in walks], of=len(group.runs))
    return replace(cell, detail=f"{cell.detail} {of}".strip())
