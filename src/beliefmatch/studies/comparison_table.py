"""Recipes as rows of one table, for the terminal."""

from collections.abc import Sequence
from statistics import fmean, stdev

from rich.box import SIMPLE_HEAD
from rich.table import Table

from beliefmatch.studies.compare import Compared, Comparison

OVER_BUDGET = "*"


def comparison_table(comparison: Comparison) -> Table:
    """Set one row a recipe: what was measured, or else what its own batches say, and what it cost, in 80 columns."""
    over = any(each.is_over_budget for each in comparison.compared)
    table = Table(
        title="mean +- deviation over seeds; a dash: not measured",
        title_justify="left",
        caption=f"{OVER_BUDGET} over the budget: one round, and what comes before it, does not fit" if over else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("recipe", no_wrap=True)
    said = ("accuracy, %", "agreement, %") if comparison.is_measured else ("own batches, %", "confidence gap")
    for heading in (*said, "seconds", "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("collapses", overflow="fold")
    for each in comparison.compared:
        table.add_row(*_row(each, is_measured=comparison.is_measured))
    return table


def _row(each: Compared, *, is_measured: bool) -> list[str]:
    if is_measured:
        said = [spread([100 * value for value in each.values(name)], 2) for name in ("student_accuracy", "agreement")]
    else:
        own = [100 * value for value in each.pseudo_agreements if value is not None]
        said = [spread(own, 1), spread([value for value in each.confidence_gaps if value is not None], 3)]
    took = each.values("seconds")
    finished = sum(result is not None for result in each.results)
    fate = ", ".join(dict.fromkeys(each.collapses)) or "none"
    return [
        each.recipe,
        *said,
        (f"{fmean(took):.0f}" if took else "-") + (OVER_BUDGET if each.is_over_budget else ""),
        f"{each.rounds:,}",
        fate if finished == len(each.seeds) else f"{fate}; {finished} of {len(each.seeds)} ended",
    ]


def spread(values: Sequence[float], digits: int) -> str:
    """Show mean and sample deviation; a dash for nothing."""
    if not values:
        return "-"
    return f"{fmean(values):.{digits}f}" + (f" +- {stdev(values):.{digits}f}" if len(values) > 1 else "")
