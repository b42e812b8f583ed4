"""A table that sets ours beside what others published, as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from beliefmatch.runs.schema.measurement import MeasurementRecord, Transition
from beliefmatch.studies.experiments import Label
from beliefmatch.studies.sweep import Row, format_spread, mean_and_deviation

Quantity = Literal["accuracy", "transition"]
"""Accuracy, or agreement, in percent; or the mean transition error."""
UNITS: dict[Quantity, str] = {"accuracy": "%", "transition": ""}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the runs of one cell found, one value a seed; accuracies in percent."""

    label: Label
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    teacher_accuracies: tuple[float, ...]
    rounds_fraction: float | None
    """Fraction of the published rounds that the runs did."""
    seconds: tuple[float, ...]
    curves: Transition | None
    """Mean transition curves of the first seed, where they were measured."""

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return mean_and_deviation(self.values)[0]

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for one seed."""
        return mean_and_deviation(self.values)[1]


def gather(label: Label, row: Row[MeasurementRecord], quantity: Quantity) -> Found:
    """Gather what was measured on the runs of one cell."""
    measurements = [outcome.measured for outcome in row.outcomes if outcome.measured]
    if quantity == "transition":
        values = [each.transition.error.value for each in measurements if each.transition]
    else:
        values = [100 * each.student.top1.value for each in measurements if each.student]
    results = [outcome.result for outcome in row.outcomes if outcome.result]
    return Found(
        label=label,
        seeds=row.seeds,
        values=tuple(values),
        teacher_accuracies=tuple(100 * each.teacher.top1.value for each in measurements if each.teacher),
        rounds_fraction=results[0].rounds_fraction,
        seconds=tuple(result.seconds for result in results),
        curves=measurements[0].transition,
    )


def markdown(found: Sequence[Found], *, title: str, quantity: Quantity, remarks: Sequence[str]) -> str:
    """Return one line a cell: what others printed, and ours with mean and deviation over seeds."""
    others = list(dict.fromkeys(number.by for each in found for number in each.label.published))
    unit = f", {UNITS[quantity]}" if UNITS[quantity] else ""
    header = [
        "",
        "method",
        *(f"{name}{unit}" for name in others),
        f"ours{unit}",
        "seeds",
        "rounds fraction",
        "teacher, %",
    ]
    rows = [header, ["---"] * len(header), *(_row(each, others, quantity) for each in found)]
    lines = [f"# {title}", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*lines, *(f"{remark}\n" for remark in remarks)])


def _row(each: Found, others: Sequence[str], quantity: Quantity) -> list[str]:
    numbers = {number.by: _spread(number.value, number.deviation, quantity) for number in each.label.published}
    fraction = "" if each.rounds_fraction is None else f"{each.rounds_fraction:.2g}"
    teacher = f"{each.teacher_accuracies[0]:.2f}"
    ours = _spread(each.mean, each.deviation, quantity)
    return [
        each.label.row,
        each.label.column,
        *(numbers.get(name, "") for name in others),
        *(ours, " ".join(map(str, each.seeds)), fraction, teacher),
    ]


def _spread(mean: float, deviation: float | None, quantity: Quantity) -> str:
    return format_spread(mean, deviation, 2 if quantity == "accuracy" else 3)


def describe(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return all cells as JSON values."""
    return [
        {
            "row": each.label.row,
            "method": each.label.method,
            "images_per_class": each.label.images_per_class,
            "published": [asdict(number) for number in each.label.published],
            "mean": each.mean,
            "deviation": each.deviation,
            "values": each.values,
            "seeds": each.seeds,
            "rounds_fraction": each.rounds_fraction,
            "teacher_accuracies": each.teacher_accuracies,
            "seconds": each.seconds,
        }
        for each in found
    ]
