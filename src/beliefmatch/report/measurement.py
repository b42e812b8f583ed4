"""The measurement on examples that training never saw: where both networks disagree, and numbers by class."""

from collections.abc import Callable, Sequence

from beliefmatch.report.class_names import class_cell, names_of
from beliefmatch.report.disagreements import disagreement_parts
from beliefmatch.report.elements import Cell, Part, Section, Table, number_cell
from beliefmatch.report.groups import Group, count
from beliefmatch.report.scores import by_output, estimates_cell, scores_table
from beliefmatch.runs.schema.measurement import INTERVALS, ClassScores, Estimate, MeasurementRecord
from beliefmatch.runs.schema.task import TaskName

Take = Callable[[MeasurementRecord], Estimate | None]

DEVIATIONS = "Means over runs stand with ± their sample standard deviation"
"""What stands with a number that is a mean over runs."""
FOLDED: dict[TaskName, str] = {
    "single_label": "class and by pair of classes",
    "multi_label": "label",
    "regression": "output",
}
"""By what outputs predict: what the folded tables tell."""
MAX_PAIRS = 6
"""Of classes that are taken for one another."""
MAX_CLASSES = 20
"""Of a table by class. Where there are more, those on which both networks agree least are shown."""


def measurement_section(groups: Sequence[Group]) -> Section | None:
    """Return images and tables of what was measured; None where nothing was.

    Raises:
        FolderError: an image is damaged.
    """
    measured = [group for group in groups if _found(group)]
    if not measured:
        return None
    named = len(groups) > 1
    parts = disagreement_parts(groups)
    for group in measured:
        if scores := scores_table(group):
            parts.append(Part(tables=(scores,), title=group.label if named else ""))
        found = tuple(table for table in (_pairs(group), _by_class(group), by_output(group)) if table is not None)
        which = f"{group.label}: by" if named else "By"
        if found:
            parts.append(Part(tables=found, folded=f"{which} {FOLDED[group.runs[0].task]}"))
    return Section(name="measured", title="Measured on real data", text=_on_what(measured), parts=tuple(parts))


def _found(group: Group) -> list[MeasurementRecord]:
    return [run.measured for run in group.runs if run.measured is not None]


def _on_what(groups: Sequence[Group]) -> str:
    sets = dict.fromkeys(found.data for group in groups for found in _found(group))
    sets_words = [count(number, "example") + (f" of {name}" if name else "") for name, number, _ in sets]
    warning = " Runs were measured on different data, so compare their numbers with care." if len(sets) > 1 else ""
    after = sorted(set(map(_after, groups)))
    return f"{', '.join(sets_words)}. {' '.join(f'{words}.' for words in after)}{warning}"


def _after(group: Group) -> str:
    of_one = INTERVALS[group.runs[0].task]
    return DEVIATIONS if len(group.runs) > 1 else of_one


def _by_class(group: Group) -> Table | None:
    classes: dict[int, list[ClassScores]] = {}
    for found in _found(group):
        for scores in found.classes:
            classes.setdefault(scores.number, []).append(scores)
    if not classes:
        return None
    labelled = any(each.teacher_accuracy for scores in classes.values() for each in scores)
    takes: dict[str, Callable[[ClassScores], Estimate | None]] = {
        **({"student accuracy": lambda each: each.student_accuracy} if labelled else {}),
        **({"teacher accuracy": lambda each: each.teacher_accuracy} if labelled else {}),
        "agreement": lambda each: each.agreement,
    }
    names = names_of(group)
    chosen = sorted(classes, key=lambda number: _mean_agreement(classes[number]))[:MAX_CLASSES]
    rows = tuple(
        (
            class_cell(names, number),
            number_cell("exact", sum(each.num_images for each in classes[number]) / len(classes[number])),
            *(_class_cell(group, [take(each) for each in classes[number]]) for take in takes.values()),
        )
        for number in sorted(chosen)
    )
    of_labels = group.runs[0].task == "multi_label"
    whose = "" if labelled else " (of the teacher: the data has no labels)"
    which = f": the {len(chosen)} of {len(classes):,} with the least agreement" if len(chosen) < len(classes) else ""
    what, examples = ("label", "true for") if of_labels else ("class", "examples")
    return Table(caption=f"By {what}{whose}{which}", columns=(what, examples, *takes), rows=rows, sortable=True)


def _mean_agreement(scores: Sequence[ClassScores]) -> float:
    there = [each.agreement.value for each in scores if each.agreement is not None]
    return sum(there) / len(there) if there else 2.0


def _class_cell(group: Group, estimates: Sequence[Estimate | None]) -> Cell:
    cell = estimates_cell("fraction", group, estimates)
    return cell if cell.is_number else Cell(text="no examples")


def _pairs(group: Group) -> Table | None:
    cells: dict[tuple[int, int], list[Estimate]] = {}
    for found in _found(group):
        for teacher, row in enumerate(found.confusion or ()):
            for student, estimate in enumerate(row):
                if teacher != student:
                    cells.setdefault((teacher, student), []).append(estimate)
    means = {pair: sum(each.value for each in estimates) / len(estimates) for pair, estimates in cells.items()}
    most = sorted((pair for pair, mean in means.items() if mean > 0), key=lambda pair: -means[pair])[:MAX_PAIRS]
    if not most:
        return None
    names = names_of(group)
    rows = tuple(
        (
            class_cell(names, teacher),
            class_cell(names, student),
            estimates_cell("fraction", group, cells[teacher, student]),
        )
        for teacher, student in most
    )
    return Table(
        caption="Where they disagree most often",
        columns=("teacher's class", "student's class", "fraction of examples"),
        rows=rows,
        sortable=True,
    )
