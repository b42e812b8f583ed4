"""A table that sets ours beside what others printed, as Markdown and as JSON."""

from collections.abc import Sequence
from typing import Any

from beliefmatch.studies.experiment_runs import Found, Quantity

UNITS: dict[Quantity, str] = {"accuracy": "%", "transition": ""}


def markdown(found: Sequence[Found], *, title: str, quantity: Quantity, remarks: Sequence[str]) -> str:
    """Set one line a cell: what others printed, and ours with mean and deviation over seeds."""
    others = list(dict.fromkeys(number.by for each in found for number in each.cell.published))
    unit = f", {UNITS[quantity]}" if UNITS[quantity] else ""
    header = ["", "method", *(f"{name}{unit}" for name in others), f"ours{unit}", "seeds", "budget", "teacher, %"]
    rows = [header, ["---"] * len(header), *(_row(each, others, quantity) for each in found)]
    lines = [f"# {title}", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*lines, *(f"{remark}\n" for remark in remarks)])


def _row(each: Found, others: Sequence[str], quantity: Quantity) -> list[str]:
    numbers = {number.by: _spread(number.value, number.deviation, quantity) for number in each.cell.published}
    budget = "" if each.budget is None else f"{each.budget:.2g}"
    teacher = f"{each.teacher_accuracies[0]:.2f}"
    ours = _spread(each.mean, each.deviation, quantity)
    return [
        each.cell.row,
        each.cell.column,
        *(numbers.get(name, "") for name in others),
        *(ours, " ".join(map(str, each.seeds)), budget, teacher),
    ]


def _spread(value: float, deviation: float | None, quantity: Quantity) -> str:
    digits = 2 if quantity == "accuracy" else 3
    return f"{value:.{digits}f}" + ("" if deviation is None else f" +- {deviation:.{digits}f}")


def plain(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Give all cells as JSON values."""
    return [
        {
            "row": each.cell.row,
            "method": each.cell.method,
            "images_per_class": each.cell.images_per_class,
            "published": [
                {"by": number.by, "value": number.value, "deviation": number.deviation}
                for number in each.cell.published
            ],
            "mean": each.mean,
            "deviation": each.deviation,
            "values": each.values,
            "seeds": each.seeds,
            "budget": each.budget,
            "teacher_accuracies": each.teacher_accuracies,
            "seconds": each.seconds,
        }
        for each in found
    ]
