"""The headline table: teacher and student side by side, for each group."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from beliefmatch.report.elements import Cell, Table, estimate_cell, mean_cell, number_cell, text_cell
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import UNFINISHED, Kind, plainly, show_duration
from beliefmatch.report.results import estimate_of, missing_words, values_of
from beliefmatch.report.runs import Run
from beliefmatch.report.transition import alike

NETWORKS = ("teacher", "student")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the headline table: a field of result.json, with teacher_ and student_ before it or alone."""

    name: str
    title: str
    kind: Kind
    by_network: bool = True
    is_settled: bool = False
    """Whether the architecture alone decides it, so that it has no deviation."""


FACTS = (
    Fact(name="accuracy", title="accuracy", kind="fraction"),
    Fact(name="agreement", title="agreement", kind="fraction", by_network=False),
    Fact(name="parameters", title="parameters", kind="exact", is_settled=True),
    Fact(name="bytes", title="size", kind="bytes", is_settled=True),
    Fact(name="macs", title="MACs", kind="count", is_settled=True),
    Fact(name="latency", title="latency", kind="seconds"),
    Fact(name="passes", title="examples passed in training", kind="count", is_settled=True),
    Fact(name="seconds", title="cost of training", kind="cost", by_network=False),
    Fact(name="peak_memory", title="peak memory", kind="bytes", by_network=False),
    Fact(name="rounds", title="rounds", kind="exact", by_network=False, is_settled=True),
)

DEVIATIONS = ", mean ± sample standard deviation over runs"
EXPLAINED = (
    "Size: parameters and buffers. MACs (multiply-accumulates) and latency (median): of one example. Examples passed: "
    "forwards, through each network."
)


def headline_table(groups: Sequence[Group]) -> Table:
    """Set teacher and student side by side, for each group."""
    if all(run.is_cut_short for group in groups for run in group.runs):
        return _so_far(groups)
    single = len(groups) == 1
    rows: list[tuple[Cell, ...]] = [
        (text_cell(fact.title), *(cell for group in groups for cell in _cells(group, fact, ratio=single)))
        for fact in FACTS
    ]
    rows[2:2] = _transition_rows(groups, span=3 if single else 2)
    many = any(len(group.runs) > 1 for group in groups)
    return Table(
        caption=f"Teacher and student{DEVIATIONS if many else ''}. {EXPLAINED}",
        columns=("", "teacher", "student", "ratio") if single else ("", *(NETWORKS * len(groups))),
        over=() if single else (("", 1), *((f"{group.label} ({group.description})", 2) for group in groups)),
        rows=tuple(rows),
    )


def _so_far(groups: Sequence[Group]) -> Table:
    facts = [fact for fact in FACTS if fact.name in ("seconds", "rounds")]
    return Table(
        caption="So far",
        columns=("", *(group.label for group in groups)),
        rows=tuple(
            (text_cell(fact.title), *(_cut_short_cell(group.runs, fact, span=1) for group in groups)) for fact in facts
        ),
    )


def _cells(group: Group, fact: Fact, *, ratio: bool) -> list[Cell]:
    if not fact.by_network:
        return [_cell(group, fact, fact.name, span=3 if ratio else 2)]
    cells = [_cell(group, fact, f"{network}_{fact.name}") for network in NETWORKS]
    if ratio:
        cells.append(_ratio(cells) if fact.kind != "fraction" and fact.name != "passes" else Cell(text=""))
    return cells


def _ratio(cells: Sequence[Cell]) -> Cell:
    teacher, student = (cell.value for cell in cells)
    if isinstance(teacher, int | float) and isinstance(student, int | float) and student > 0:
        return Cell(
            text=f"{plainly(teacher / student)} \N{MULTIPLICATION SIGN}", value=teacher / student, is_number=True
        )
    return Cell(text="")


def _cell(group: Group, fact: Fact, name: str, *, span: int = 1) -> Cell:
    if all(run.is_cut_short for run in group.runs):
        return _cut_short_cell(group.runs, fact, span)
    values = values_of(group.runs, name)
    missing = missing_words(group.runs, name)
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        cell = estimate_cell(fact.kind, estimate, missing=missing)
        return replace(cell, span=span)
    same = len(set(values)) == 1
    shared_teacher = name == "teacher_accuracy" and not group.owns_teachers
    if same and (fact.is_settled or shared_teacher or len(group.runs) == 1):
        return number_cell(fact.kind, values[0], detail=_behind(group, fact, values[0]), span=span)
    return mean_cell(fact.kind, values, missing=missing, of=len(group.runs), span=span)


def _cut_short_cell(runs: Sequence[Run], fact: Fact, span: int) -> Cell:
    if fact.name == "seconds":
        return mean_cell(fact.kind, [run.seconds for run in runs], span=span)
    if fact.name == "rounds":
        return Cell(text=", ".join(f"{run.last_round:,} of {run.num_rounds:,}" for run in runs), span=span)
    return Cell(text=UNFINISHED, span=span)


def _behind(group: Group, fact: Fact, value: float) -> str:
    if fact.kind == "cost":
        return show_duration(value)
    budget = [run.result.budget for run in group.runs if run.result and run.result.budget is not None]
    if fact.name == "rounds" and budget:
        return f"({100 * budget[0]:.3g} % of the usual)"
    return ""


def _transition_rows(groups: Sequence[Group], *, span: int) -> list[tuple[Cell, ...]]:
    guides = dict.fromkeys(walks[0].guided_by for group in groups for walks in alike(group))
    return [
        (
            text_cell(f"mean transition error, {guide} guides"),
            *(_transition_cell(group, guide, span) for group in groups),
        )
        for guide in guides
    ]


def _transition_cell(group: Group, guide: str, span: int) -> Cell:
    found = [walks for walks in alike(group) if walks[0].guided_by == guide]
    if not found:
        return Cell(text="not measured", span=span)
    walks = max(found, key=len)
    if len(group.runs) == 1:
        return replace(estimate_cell("number", walks[0].error), span=span)
    return mean_cell("number", [walk.error.value for walk in walks], of=len(group.runs), span=span)
