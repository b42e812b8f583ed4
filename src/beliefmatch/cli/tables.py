"""Tables of what came out of a run or a measurement, for the terminal."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.table import Table

from beliefmatch.cli.output import open_table
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.measurement.summary import decimals, lines_of
from beliefmatch.number_texts import three_digits
from beliefmatch.runs.schema.export import Export
from beliefmatch.runs.schema.measurement import (
    INTERVALS,
    NUMBER_TITLES,
    ClassScores,
    Estimate,
    NumberMeasurement,
    NumberScores,
)
from beliefmatch.runs.schema.result import Result
from beliefmatch.runs.schema.task import TaskName

if TYPE_CHECKING:
    from beliefmatch.studies.compare import Compared, Comparison

MAX_CLASSES = 20
"""With more classes a terminal has no room for the table of confusions."""
OVER_TIME = "*"


QUALITIES: dict[TaskName, tuple[str, str]] = {
    "single_label": ("accuracy", "agreement"),
    "multi_label": ("accuracy of labels", "labels alike"),
    "regression": (NUMBER_TITLES["mean_absolute_error"], NUMBER_TITLES["r2"]),
}
"""By what outputs predict: how good a network is, and how near the student is to its teacher."""


def result_table(
    result: Result,
    task: TaskName = "single_label",
    numbers: NumberMeasurement | None = None,
    *,
    teacher_seconds: float | None = None,
) -> Table:
    """Return teacher and student side by side; a dash stands for what was not measured.

    Args:
        result: of a run.
        task: what both networks predict.
        numbers: measured of a regression.
        teacher_seconds: to train the teacher, where that was part of the run.
    """
    table = Table()
    table.add_column("")
    for heading in ("parameters", "MACs", "bytes", *QUALITIES[task], "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    seconds = {"teacher": teacher_seconds, "student": result.seconds}
    for name, spent in seconds.items():
        parameters, macs, size, accuracy = (
            getattr(result, f"{name}_{field}") for field in ("parameters", "macs", "bytes", "accuracy")
        )
        qualities = percent(accuracy), percent(result.agreement)
        if task == "regression":
            qualities = _of_numbers(getattr(numbers, name, None))
        took = "" if spent is None else f"{spent:.1f} s"
        table.add_row(name, f"{parameters:,}", short(macs), f"{short(size)}B", *qualities, took)
    return table


def _of_numbers(scores: NumberScores | None) -> tuple[str, str]:
    """Return mean absolute error and R2 of a regression; dashes where it was not measured."""
    if scores is None:
        return "-", "-"
    error = scores.mean_absolute_error.value
    return f"{error:,.{decimals(error)}f}", f"{scores.r2.value:.4f}"


def export_table(export: Export) -> Table:
    """Return teacher and student side by side as they are deployed; a dash stands for what was not measured."""
    table = Table()
    table.add_column("")
    onnxruntime = ("in onnxruntime",) if export.format == "onnx" else ()
    for heading in ("MACs", "file", "in torch", *onnxruntime):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, deployed in (("teacher", export.teacher), ("student", export.student)):
        latencies = deployed.torch_latency, *((deployed.onnxruntime_latency,) if onnxruntime else ())
        latency_texts = ("-" if seconds is None else f"{three_digits(1e3 * seconds)} ms" for seconds in latencies)
        table.add_row(name, short(deployed.macs), f"{short(deployed.bytes)}B", *latency_texts)
    return table


def comparison_table(comparison: "Comparison") -> Table:
    """Return one row a recipe: what was measured, or else its own pseudo batches, and what it cost, in 80 columns."""
    over = any(each.is_over_time for each in comparison.compared)
    table = open_table(collapse_padding=True)
    table.title, table.title_justify = "mean +- deviation over seeds; a dash: not measured", "left"
    table.caption_justify = "left"
    if over:
        table.caption = f"{OVER_TIME} over the minutes: one round, and what comes before it, does not fit"
    table.add_column("recipe", no_wrap=True)
    quantities = ("accuracy, %", "agreement, %") if comparison.is_measured else ("agreement on common inputs, %",)
    for heading in (*quantities, "seconds", "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("collapses", overflow="fold")
    for each in comparison.compared:
        table.add_row(*_recipe_row(each, is_measured=comparison.is_measured))
    return table


def _recipe_row(each: "Compared", *, is_measured: bool) -> list[str]:
    if is_measured:
        quantities = [
            _spread([100 * value for value in each.values(name)], 2) for name in ("student_accuracy", "agreement")
        ]
    else:
        quantities = [_spread([100 * value for value in each.common_agreements if value is not None], 2)]
    seconds = each.values("seconds")
    num_finished = sum(result is not None for result in each.results)
    collapses = ", ".join(dict.fromkeys(each.collapses)) or "none"
    return [
        each.recipe,
        *quantities,
        (f"{fmean(seconds):.0f}" if seconds else "-") + (OVER_TIME if each.is_over_time else ""),
        f"{each.rounds:,}",
        collapses if num_finished == len(each.seeds) else f"{collapses}; {num_finished} of {len(each.seeds)} ended",
    ]


def _spread(values: Sequence[float], digits: int) -> str:
    """Return mean and sample deviation as text; a dash for nothing."""
    from beliefmatch.studies.sweep import format_spread, mean_and_deviation

    return format_spread(*mean_and_deviation(values), digits) if values else "-"


def measurement_tables(measurement: Measurement) -> list[Table]:
    """Return all that was measured, each number with its 95 % interval."""
    tables = [_overall(measurement)]
    if measurement.numbers is not None:
        return [*tables, _outputs(measurement.numbers)]
    what = "class" if measurement.labels is None else "label"
    tables.append(_classes(measurement.classes, what, measurement.class_names))
    if measurement.confusion is not None and len(measurement.confusion) <= MAX_CLASSES:
        tables.append(_confusion(measurement.confusion))
    return tables


def _overall(measurement: Measurement) -> Table:
    table = Table(
        title=f"{measurement.num_images:,} examples",
        title_justify="left",
        caption=INTERVALS[measurement.task],
        caption_justify="left",
    )
    table.add_column("quantity")
    table.add_column("value (95 % interval)", justify="right", no_wrap=True)
    for name, value, bounds in lines_of(measurement):
        table.add_row(name, f"{value} ({bounds})" if bounds else value)
    return table


def _outputs(numbers: NumberMeasurement) -> Table:
    table = Table(title="by output: student against teacher", title_justify="left")
    for heading in ("output", *NUMBER_TITLES.values()):
        table.add_column(heading, justify="right")
    for number, scores in enumerate(numbers.by_output):
        values = [getattr(scores, name).value for name in NUMBER_TITLES]
        table.add_row(str(number), *(f"{value:,.{decimals(value)}f}" for value in values))
    return table


def _classes(classes: Sequence[ClassScores], what: str, names: Sequence[str] | None) -> Table:
    table = Table(title=f"by {what}", title_justify="left")
    for heading in (what, "examples", "teacher accuracy, %", "student accuracy, %", "agreement, %"):
        table.add_column(heading, justify="right")
    for each in classes:
        estimates = (each.teacher_accuracy, each.student_accuracy, each.agreement)
        name = f"{each.number} {names[each.number]}" if names else str(each.number)
        table.add_row(name, str(each.num_images), *(interval(estimate) for estimate in estimates))
    return table


def _confusion(confusion: Sequence[Sequence[Estimate]]) -> Table:
    table = Table(
        title="% of all examples: teacher's class down, student's class across",
        title_justify="left",
        caption="with their intervals in what --out and --display json write, and in a run's measurement.json",
        caption_justify="left",
    )
    for heading in ("", *map(str, range(len(confusion)))):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, row in enumerate(confusion):
        table.add_row(str(number), *(f"{100 * cell.value:.1f}" if cell.value else "." for cell in row))
    return table


def interval(estimate: Estimate | None) -> str:
    """Return a fraction in percent with its interval, or a dash where it was not measured."""
    if estimate is None:
        return "-"
    return f"{100 * estimate.value:.2f} ({100 * estimate.low:.1f}\N{EN DASH}{100 * estimate.high:.1f})"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent, or a dash where it was not measured."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def short(count: int | None) -> str:
    """Return a count in three digits with a prefix of units behind it."""
    if count is None:
        return "- "
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        # What rounds to a thousand has the next prefix: 999,500 is 1 M.
        if count >= 0.9995 * size:
            return f"{three_digits(count / size)} {prefix}"
    return f"{count} "
