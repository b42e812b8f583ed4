"""What classes are called: by their names, where a measurement knows them, or by their numbers."""

from collections.abc import Sequence

from beliefmatch.report.elements import Cell, number_cell, text_cell
from beliefmatch.report.groups import Group
from beliefmatch.runs.schema.measurement import MeasurementRecord


def name_class(names: Sequence[str] | None, number: int) -> str:
    """Return the name of a class, or its number where it has none."""
    name = names[number] if names is not None and number < len(names) else ""
    return name or str(number)


def names_of(group: Group) -> tuple[str, ...] | None:
    """Return the names that the first measured run of a group knows; None: it knows none."""
    found: list[MeasurementRecord] = [run.measured for run in group.runs if run.measured is not None]
    return found[0].class_names if found else None


def class_cell(names: Sequence[str] | None, number: int) -> Cell:
    """Return a cell of a class, sorted by its number."""
    if names is None:
        return number_cell("exact", number)
    return text_cell(name_class(names, number), value=number)
