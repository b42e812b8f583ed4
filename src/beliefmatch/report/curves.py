"""Numbers by round, whatever they are: gathered from runs, averaged, drawn, described in words, listed in a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from beliefmatch.number_texts import three_digits
from beliefmatch.report import figures
from beliefmatch.report.elements import Cell, Picture, Table, number_cell
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import capital
from beliefmatch.report.runs import Run
from beliefmatch.runs.schema.row import Row

Values = NDArray[np.float64]
Read = Callable[[Row], float | None]
"""Reads one number from a logged row; None where it has none."""

MAX_POINTS = 400
"""Of a line. More are not seen."""
MAX_ROWS = 25
"""Of a table of data."""
LOGARITHMIC_RATIO = 40
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""
NEAR_START = 0.03
"""Change below which a line stays near its start, as a fraction of its larger end."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: a number at logged rounds, as a mean over runs."""

    label: str
    rounds: Values
    mean: Values
    deviation: Values | None = None
    """Half the width of the band around the line. None: no band. NaN where a single run came so far."""


def entry(name: str) -> Read:
    """Return what reads a number by its name."""

    def read(row: Row) -> float | None:
        value = row.get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    return read


def curves_of(groups: Sequence[Group], read: Read, *, label: str) -> list[Curve]:
    """Return a line for each group that logged a number; the label is for a single group, which needs no name."""
    labels = [group.label if len(groups) > 1 else label for group in groups]
    found = [gather(group.runs, read, label=label) for group, label in zip(groups, labels, strict=True)]
    return [curve for curve in found if curve is not None]


def gather(runs: Sequence[Run], read: Read, *, label: str) -> Curve | None:
    """Compute mean and standard deviation of a number over runs, round by round.

    Runs that logged other rounds than the longest one are interpolated between theirs.

    Args:
        runs: that differ in the seed alone.
        read: takes the number from a row.
        label: of the line.

    Returns:
        None where no run logged the number.
    """
    logged = [pairs for run in runs if len(pairs := _pairs(run, read))]
    if not logged:
        return None
    rounds = max((pairs[:, 0] for pairs in logged), key=lambda found: (found[-1], len(found)))
    values = np.stack([np.interp(rounds, pairs[:, 0], pairs[:, 1], left=np.nan, right=np.nan) for pairs in logged])
    there = ~np.isnan(values)
    counts = there.sum(axis=0)
    mean = np.where(there, values, 0).sum(axis=0) / counts
    squares = np.where(there, (values - mean) ** 2, 0).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(counts - 1, 1))
    deviation[counts < 2] = np.nan
    return Curve(label=label, rounds=rounds, mean=mean, deviation=deviation if len(logged) > 1 else None)


def _pairs(run: Run, read: Read) -> Values:
    found = [(float(row["round"]), value) for row in run.rows if (value := read(row)) is not None]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def band_note(groups: Sequence[Group]) -> str:
    """Return a sentence on what a band around a line is; empty where there is none."""
    if not any(len(group.runs) > 1 for group in groups):
        return ""
    return "Lines are means over runs that differ in their seed alone; bands reach one standard deviation either way."


def draw_curves(
    curves: Sequence[Curve],
    *,
    title: str,
    note: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    xlabel: str = "round",
) -> Picture:
    """Return a figure of lines, with a band where they are means, its description and its data."""
    labels = [curve.label for curve in curves]

    def draw(axes: Axes) -> None:
        for index, curve in enumerate(curves):
            _draw_curve(axes, curve, index)
        axes.set_ylabel(ylabel)
        figures.number_rounds(axes, xlabel)
        if limits:
            axes.set_ylim(*limits)
        elif _spans_decades(curves):
            figures.scale_logarithmically(axes)
        figures.add_legend(axes, labels)

    return Picture(
        title=title,
        note=note,
        alt=" ".join(describe(curve, quantity=ylabel, x=xlabel) for curve in curves),
        svg=figures.draw_figure(draw, height=figures.HEIGHT + figures.legend_height(labels)),
        data=tabulate(curves, caption=f"{title}: data", x=xlabel),
    )


def _draw_curve(axes: Axes, curve: Curve, index: int) -> None:
    colour, dashes = (choices[index % len(choices)] for choices in (figures.LINES, figures.DASHES))
    chosen = thin(len(curve.rounds), MAX_POINTS)
    rounds, mean = curve.rounds[chosen], curve.mean[chosen]
    marker = "o" if len(rounds) == 1 else None
    axes.plot(rounds, mean, color=colour, linestyle=dashes, marker=marker, label=curve.label)
    if curve.deviation is not None:
        margin = curve.deviation[chosen]
        axes.fill_between(rounds, mean - margin, mean + margin, color=colour, alpha=0.22, linewidth=0)


def _spans_decades(curves: Sequence[Curve]) -> bool:
    values = np.concatenate([curve.mean for curve in curves])
    return bool(values.min() > 0 and values.max() / values.min() > LOGARITHMIC_RATIO)


def thin(length: int, most: int) -> NDArray[np.int64]:
    """Return at most so many positions, evenly spaced, with the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def describe(curve: Curve, *, quantity: str, x: str = "round") -> str:
    """Return a sentence on where a line begins, where it ends and how far it goes on the way."""
    first, last = curve.mean[0], curve.mean[-1]
    name = capital(quantity if curve.label in (quantity, "") else f"{curve.label}, {quantity}")
    if len(curve.rounds) == 1:
        return f"{name}: {three_digits(first)} in {x} {curve.rounds[0]:,.0f}."
    change = abs(last - first) / max(abs(first), abs(last), 1e-12)
    verb = "stays near its start, from" if change < NEAR_START else "rises from" if last > first else "falls from"
    low, high = curve.mean.argmin(), curve.mean.argmax()
    return (
        f"{name} {verb} {three_digits(first)} in {x} {curve.rounds[0]:,.0f} to {three_digits(last)} in {x} "
        f"{curve.rounds[-1]:,.0f}; lowest {three_digits(curve.mean[low])} in {x} {curve.rounds[low]:,.0f}, highest "
        f"{three_digits(curve.mean[high])} in {x} {curve.rounds[high]:,.0f}."
    )


def tabulate(curves: Sequence[Curve], *, caption: str, x: str = "round") -> Table:
    """Return the numbers of lines as a table, thinned to what can be read."""
    rounds = np.unique(np.concatenate([curve.rounds for curve in curves]))
    chosen = rounds[thin(len(rounds), MAX_ROWS)]
    left_out = f" ({len(chosen)} of {len(rounds)} logged)" if len(chosen) < len(rounds) else ""
    return Table(
        caption=f"{caption}{left_out}",
        columns=(x, *(curve.label for curve in curves)),
        rows=tuple((number_cell("exact", float(at)), *(_at(curve, at) for curve in curves)) for at in chosen),
        sortable=True,
    )


def _at(curve: Curve, at: float) -> Cell:
    found = np.flatnonzero(curve.rounds == at)
    if not len(found):
        return Cell(text="")
    mean = float(curve.mean[found[0]])
    margin = math.nan if curve.deviation is None else float(curve.deviation[found[0]])
    largest = float(np.abs(curve.mean).max())
    decimals = 3 if largest < 1 else max(0, 2 - math.floor(math.log10(largest)))
    text = f"{mean:,.{decimals}f}" if math.isnan(margin) else f"{mean:,.{decimals}f} ± {margin:,.{decimals}f}"
    return Cell(text=text, value=mean, is_number=True)
