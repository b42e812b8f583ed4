"""Tables of how near labels or numbers are: those of both networks to the examples' own, and to each other."""

from collections.abc import Sequence

from beliefmatch.report.elements import Cell, Table, estimate_cell, mean_cell, number_cell, text_cell
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import UNLABELLED, Kind
from beliefmatch.runs.schema.measurement import (
    LABEL_TITLES,
    NUMBER_TITLES,
    Estimate,
    LabelMeasurement,
    NumberMeasurement,
)

SIDES = {"teacher": "teacher", "student": "student", "pair": "student against teacher"}
"""By field of a measurement: whose predictions."""


def scores_table(group: Group) -> Table | None:
    """Return the scores of a group's runs; None where outputs are classes, or nothing was measured."""
    found = _measured(group)
    if not found:
        return None
    are_labels = isinstance(found[0], LabelMeasurement)
    titles = LABEL_TITLES if are_labels else NUMBER_TITLES
    rows = tuple(
        (
            text_cell(title),
            *(
                estimates_cell(
                    "fraction" if are_labels else kind_of(name), group, [_score(each, side, name) for each in found]
                )
                for side in SIDES
            ),
        )
        for name, title in titles.items()
    )
    return Table(caption="Labels" if are_labels else "Numbers", columns=("", *SIDES.values()), rows=rows)


def by_output(group: Group) -> Table | None:
    """Return how near each number of a regression is to the teacher's; None where there is one, or none."""
    found = [each for each in _measured(group) if isinstance(each, NumberMeasurement)]
    if not found or len(found[0].by_output) < 2:
        return None
    rows = tuple(
        (
            number_cell("exact", number),
            *(
                estimates_cell(kind_of(name), group, [getattr(each.by_output[number], name) for each in found])
                for name in NUMBER_TITLES
            ),
        )
        for number in range(len(found[0].by_output))
    )
    columns = ("output", *NUMBER_TITLES.values())
    return Table(caption="Student against teacher, by output", columns=columns, rows=rows, sortable=True)


def kind_of(name: str) -> Kind:
    """Return how a score of numbers is shown: errors are in their unit, which may be of any size."""
    return "number" if name == "r2" else "size"


def _measured(group: Group) -> list[LabelMeasurement | NumberMeasurement]:
    records = [run.measured for run in group.runs if run.measured is not None]
    return [found for record in records if (found := record.labels or record.numbers) is not None]


def _score(measured: LabelMeasurement | NumberMeasurement, side: str, name: str) -> Estimate | None:
    scores = getattr(measured, side)
    return None if scores is None else getattr(scores, name)


def estimates_cell(kind: Kind, group: Group, estimates: Sequence[Estimate | None]) -> Cell:
    """Return the cell of one number: with its interval of a single run, as mean and deviation of several."""
    there = [estimate for estimate in estimates if estimate is not None]
    if len(group.runs) == 1:
        return estimate_cell(kind, there[0] if there else None, missing=UNLABELLED)
    return mean_cell(kind, [estimate.value for estimate in there], missing=UNLABELLED, of=len(group.runs))
