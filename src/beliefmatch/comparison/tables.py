"""Recipes as rows of one table, for the terminal."""

from collections.abc import Sequence
from statistics import fmean, stdev

from rich.table import Table

from beliefmatch.comparison.runner import Compared, Comparison
from beliefmatch.tables import short

PASSES = ("student_passes", "teacher_passes")


def comparison_table(comparison: Comparison) -> Table:
    """Set one row a recipe: what was measured, what it cost, and what the pseudo batches say."""
    table = Table(title="mean +- deviation over seeds; a dash: not measured", title_justify="left")
    table.add_column("recipe", no_wrap=True)
    for heading in ("accuracy, %", "agreement, %", "agreement on own batches, %", "confidence gap"):
        table.add_column(heading, justify="right")
    for heading in ("seconds", "rounds", "passes", "runs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("collapses")
    for each in comparison.compared:
        table.add_row(*_row(each))
    return table


def _row(each: Compared) -> list[str]:
    finished = [result for result in each.results if result is not None]
    passes = [sum(getattr(result, name) or 0 for name in PASSES) for result in finished]
    return [
        each.recipe,
        spread([100 * value for value in each.values("student_accuracy")], 2),
        spread([100 * value for value in each.values("agreement")], 2),
        spread([100 * value for value in each.pseudo_agreements if value is not None], 1),
        spread([value for value in each.confidence_gaps if value is not None], 3),
        spread(each.values("seconds"), 1),
        f"{each.rounds:,}",
        short(round(fmean(passes)) if passes else None).strip(),
        f"{len(finished)} of {len(each.seeds)}",
        ", ".join(dict.fromkeys(each.collapses)) or "none",
    ]


def spread(values: Sequence[float], digits: int) -> str:
    """Show mean and sample deviation; a dash for nothing."""
    if not values:
        return "-"
    return f"{fmean(values):.{digits}f}" + (f" +- {stdev(values):.{digits}f}" if len(values) > 1 else "")
