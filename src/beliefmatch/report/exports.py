"""The exported files: what each is, how near it comes to the student, what it costs."""

from collections.abc import Sequence

from beliefmatch.report.elements import Cell, Part, Section, Table, number_cell, text_cell
from beliefmatch.report.runs import Run
from beliefmatch.runs.schema.export import Export
from beliefmatch.runs.schema.task import OUTPUT_WORDS, TaskName

COLUMNS = ("bytes", "logit difference", "same class", "on real data", "latency in torch", "in onnxruntime")
OF_OTHERS: dict[TaskName, tuple[str, str]] = {
    "multi_label": ("logit difference", "same labels"),
    "regression": ("difference", "same numbers"),
}
"""What outputs that are no classes are compared by."""


def exports_section(runs: Sequence[Run]) -> Section | None:
    """Return a table of the exported files of all runs; None where there are none."""
    found = [
        (run, name, export)
        for run in runs
        if run.result is not None
        for name, export in (run.result.exports or {}).items()
    ]
    if not found:
        return None
    several, task = len(runs) > 1, found[0][0].task
    difference, same = OF_OTHERS.get(task, COLUMNS[1:3])
    number = "number" if task == "regression" else "logit"
    often = "both gave the same class" if task == "single_label" else f"{OUTPUT_WORDS[task]} were the same"
    rows = tuple(
        (text_cell(name), *((text_cell(run.name),) if several else ()), *_cells(export)) for run, name, export in found
    )
    columns = ("file", *(("run",) if several else ()), COLUMNS[0], difference, same, *COLUMNS[3:])
    return Section(
        name="exports",
        title="Exported files",
        text="Each was loaded again in a fresh process and set beside the student in torch: largest difference of a "
        f"{number}, and how often {often}, on pseudo inputs and on real data. Latency is that of one "
        "example on the CPU.",
        parts=(Part(tables=(Table(caption="Exported files", columns=columns, rows=rows, sortable=True),)),),
    )


def _cells(export: Export) -> tuple[Cell, ...]:
    checked, student, unmeasured = export.pseudo, export.student, "not measured"
    return (
        number_cell("bytes", student.bytes, missing=unmeasured),
        Cell(text=f"{checked.max_logit_difference:.2g}", value=checked.max_logit_difference, is_number=True),
        number_cell("fraction", checked.agreement, detail=f"on {checked.num_examples:,} {checked.name}"),
        number_cell("fraction", export.images and export.images.agreement, missing="not compared"),
        number_cell("seconds", student.torch_latency, missing=unmeasured),
        number_cell("seconds", student.onnxruntime_latency, missing=unmeasured),
    )
