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
        parts=(
            Part(tables=(Table(caption="Exported files", columns=columns, rows=rows, sortable=True),)),
            *_eight_bits_parts([(name, export) for _, name, export in found]),
        ),
    )


def _eight_bits_parts(found: Sequence[tuple[str, Export]]) -> tuple[Part, ...]:
    """Return a table of the files in 8 bits beside the same students in 32; nothing where there are none."""
    rows = tuple(
        (
            text_cell(name),
            number_cell("bytes", export.student.bytes),
            number_cell("bytes", in_8_bits.float_bytes),
            number_cell("seconds", in_8_bits.latency),
            number_cell(
                "seconds",
                in_8_bits.float_latency,
                detail="" if in_8_bits.is_faster else "8 bits are not faster on this machine",
            ),
            number_cell("fraction", export.pseudo.agreement),
            text_cell(f"{in_8_bits.calibrated_on}, {in_8_bits.ranges}"),
            number_cell("exact", len(in_8_bits.keep_float), detail=f"of {in_8_bits.num_nodes}"),
        )
        for name, export in found
        if (in_8_bits := export.in_8_bits) is not None
    )
    if not rows:
        return ()
    columns = (
        "file",
        "bytes",
        "in 32 bits",
        "latency",
        "in 32 bits",
        "same class",
        "calibrated on",
        "nodes in 32 bits",
    )
    return (
        Part(
            title="In 8 bits",
            text="Calibrated on inputs that were made without data. Both latencies are of one example in onnxruntime "
            "on the CPU, taken in turns.",
            tables=(Table(caption="Files in 8 bits", columns=columns, rows=rows, sortable=True),),
        ),
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
