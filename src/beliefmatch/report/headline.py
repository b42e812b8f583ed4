"""The headline: what came out in a sentence or two for each group, and teacher and student side by side in a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from beliefmatch.report.elements import Cell, Table, estimate_cell, mean_cell, number_cell, text_cell
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import (
    UNFINISHED,
    UNMEASURED,
    Kind,
    capital,
    plainly,
    show,
    show_bounds,
    show_duration,
    show_mean,
)
from beliefmatch.report.results import estimate_of, missing_words, values_of
from beliefmatch.report.runs import Run
from beliefmatch.report.transition_curves import describe_error, walks_of

NETWORKS = ("teacher", "student")
MEASURED = (
    ("Student accuracy", "student_accuracy"),
    ("teacher accuracy", "teacher_accuracy"),
    ("agreement", "agreement"),
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One line of the headline table: a field of result.json, with teacher_ and student_ before it or alone."""

    name: str
    title: str
    kind: Kind
    by_network: bool = True
    is_fixed: bool = False
    """Whether the architecture alone decides it, so that it has no deviation."""


FIELDS = (
    Field(name="accuracy", title="accuracy", kind="fraction"),
    Field(name="agreement", title="agreement", kind="fraction", by_network=False),
    Field(name="parameters", title="parameters", kind="exact", is_fixed=True),
    Field(name="bytes", title="size", kind="bytes", is_fixed=True),
    Field(name="macs", title="MACs", kind="count", is_fixed=True),
    Field(name="latency", title="latency", kind="seconds"),
    Field(name="passes", title="examples passed in training", kind="count", is_fixed=True),
    Field(name="seconds", title="cost of training", kind="cost", by_network=False),
    Field(name="peak_memory", title="peak memory", kind="bytes", by_network=False),
    Field(name="rounds", title="rounds", kind="exact", by_network=False, is_fixed=True),
)

DEVIATIONS = ", mean ± sample standard deviation over runs"
EXPLAINED = (
    "Size: parameters and buffers. MACs (multiply-accumulates) and latency (median): of one example. Examples passed: "
    "forwards, through each network."
)


def headline_sentences(groups: Sequence[Group]) -> list[str]:
    """Return what came out, in a sentence or two for each group."""
    single = len(groups) == 1
    sentences = [f"{'' if single else f'{group.label}: '}{_sentence(group, alone=single)}" for group in groups]
    # Numbers stay on one line with their units.
    return [text.replace(" ± ", "\N{NBSP}±\N{NBSP}").replace(" %", "\N{NBSP}%") for text in sentences]


def _sentence(group: Group, *, alone: bool) -> str:
    mixed = "" if group.is_measured_alike else ", measured on different data"
    over = f" (mean ± standard deviation over {group.description}{mixed})" if len(group.runs) > 1 else ""
    found = [f"{title} {words}" for title, name in MEASURED if (words := _value_words(group, name))]
    if all(run.is_cut_short for run in group.runs):
        who = "The run has not" if len(group.runs) == 1 else "No run has"
        text = f"{who} come to its end, so there is no result yet."
    else:
        text = f"{'; '.join(found)}{over}." if found else f"{capital(UNMEASURED)}."
    errors = [describe_error(walks) for walks in walks_of(group)]
    return " ".join((text, *errors, _smaller(group) if alone else "")).strip()


def _value_words(group: Group, name: str) -> str:
    values = values_of(group.runs, name)
    if not values:
        return missing_words(group.runs, name) if values_of(group.runs, "agreement") else ""
    partly = f" ({len(values)} of {len(group.runs)} runs)" if len(values) < len(group.runs) else ""
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        return f"{show('fraction', estimate.value)} {show_bounds('fraction', estimate)}"
    return f"{show_mean('fraction', values[:1] if _is_shared(group, name, values) else values)}{partly}"


def _is_shared(group: Group, name: str, values: Sequence[float]) -> bool:
    """Whether a value is one teacher's, whom all runs have in common, so that it has no deviation."""
    return name == "teacher_accuracy" and not group.owns_teachers and len(set(values)) == 1


def _smaller(group: Group) -> str:
    result = next((run.result for run in group.runs if run.result is not None), None)
    if result is None:
        return ""
    found = [_compare(result.teacher_parameters, result.student_parameters, "parameters")]
    if result.teacher_macs and result.student_macs:
        found.append(_compare(result.teacher_macs, result.student_macs, "multiply-accumulates"))
    return f"Against the teacher, the student has {' and '.join(found)}."


def _compare(teacher: int, student: int, noun: str) -> str:
    if teacher == student or not student:
        return f"as many {noun}"
    if teacher > student:
        return f"{plainly(teacher / student)} times fewer {noun}"
    return f"{plainly(student / teacher)} times as many {noun}"


def headline_table(groups: Sequence[Group]) -> Table:
    """Return a table of teacher and student side by side, for each group."""
    if all(run.is_cut_short for group in groups for run in group.runs):
        return _so_far(groups)
    single = len(groups) == 1
    rows: list[tuple[Cell, ...]] = [
        (text_cell(field.title), *(cell for group in groups for cell in _cells(group, field, ratio=single)))
        for field in FIELDS
    ]
    rows[2:2] = _transition_rows(groups, span=3 if single else 2)
    many = any(len(group.runs) > 1 for group in groups)
    return Table(
        caption=f"Teacher and student{DEVIATIONS if many else ''}. {EXPLAINED}",
        columns=("", *NETWORKS, "ratio") if single else ("", *(NETWORKS * len(groups))),
        over=() if single else (("", 1), *((f"{group.label} ({group.description})", 2) for group in groups)),
        rows=tuple(rows),
    )


def _so_far(groups: Sequence[Group]) -> Table:
    rows = tuple(
        (text_cell(field.title), *(_cut_short_cell(group.runs, field, span=1) for group in groups))
        for field in FIELDS
        if field.name in ("seconds", "rounds")
    )
    return Table(caption="So far", columns=("", *(group.label for group in groups)), rows=rows)


def _cells(group: Group, field: Field, *, ratio: bool) -> list[Cell]:
    if not field.by_network:
        return [_cell(group, field, field.name, span=3 if ratio else 2)]
    cells = [_cell(group, field, f"{network}_{field.name}") for network in NETWORKS]
    if ratio:
        cells.append(_ratio(cells) if field.kind != "fraction" and field.name != "passes" else Cell(text=""))
    return cells


def _ratio(cells: Sequence[Cell]) -> Cell:
    teacher, student = (cell.value for cell in cells)
    if isinstance(teacher, int | float) and isinstance(student, int | float) and student > 0:
        ratio = teacher / student
        return Cell(text=f"{plainly(ratio)} \N{MULTIPLICATION SIGN}", value=ratio, is_number=True)
    return Cell(text="")


def _cell(group: Group, field: Field, name: str, *, span: int = 1) -> Cell:
    if all(run.is_cut_short for run in group.runs):
        return _cut_short_cell(group.runs, field, span)
    values, missing = values_of(group.runs, name), missing_words(group.runs, name)
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        return replace(estimate_cell(field.kind, estimate, missing=missing), span=span)
    same = len(set(values)) == 1 and (field.is_fixed or len(group.runs) == 1)
    if same or _is_shared(group, name, values):
        return number_cell(field.kind, values[0], detail=_detail(group, field, values[0]), span=span)
    return mean_cell(field.kind, values, missing=missing, of=len(group.runs), span=span)


def _cut_short_cell(runs: Sequence[Run], field: Field, span: int) -> Cell:
    if field.name == "seconds":
        return mean_cell(field.kind, [run.seconds for run in runs], span=span)
    if field.name == "rounds":
        return Cell(text=", ".join(f"{run.last_round:,} of {run.num_rounds:,}" for run in runs), span=span)
    return Cell(text=UNFINISHED, span=span)


def _detail(group: Group, field: Field, value: float) -> str:
    if field.kind == "cost":
        return show_duration(value)
    budget = [run.result.budget for run in group.runs if run.result and run.result.budget is not None]
    return f"({100 * budget[0]:.3g} % of the usual)" if field.name == "rounds" and budget else ""


def _transition_rows(groups: Sequence[Group], *, span: int) -> list[tuple[Cell, ...]]:
    guides = dict.fromkeys(walks[0].guided_by for group in groups for walks in walks_of(group))
    return [
        (
            text_cell(f"mean transition error, {guide} guides"),
            *(_transition_cell(group, guide, span) for group in groups),
        )
        for guide in guides
    ]


def _transition_cell(group: Group, guide: str, span: int) -> Cell:
    found = [walks for walks in walks_of(group) if walks[0].guided_by == guide]
    if not found:
        return Cell(text="not measured", span=span)
    walks = max(found, key=len)
    if len(group.runs) == 1:
        return replace(estimate_cell("number", walks[0].error), span=span)
    return mean_cell("number", [walk.error.value for walk in walks], of=len(group.runs), span=span)
