"""Numbers by round: gathered from runs, averaged over them, drawn as lines, told in words, listed in tables."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from beliefmatch.report.elements import Cell, Picture, Table, number_cell
from beliefmatch.report.figures import (
    DASHES,
    HEIGHT,
    LINES,
    add_legend,
    draw_figure,
    legend_height,
    number_rounds,
    scale_logarithmically,
)
from beliefmatch.report.quantities import plainly
from beliefmatch.report.runs import Run
from beliefmatch.runs.folder import Row

Values = NDArray[np.float64]
Read = Callable[[Row], float | None]
"""Reads one number from a logged row; None where it has none."""

MAX_POINTS = 400
"""Of a line. More are not seen."""
MAX_ROWS = 25
"""Of a table of data."""
LOGARITHMIC_RATIO = 40
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: a number at logged rounds, as a mean over runs."""

    label: str
    rounds: Values
    mean: Values
    deviation: Values | None = None
    """Half the width of the band around the line. None: no band. NaN where a single run came so far."""


def entry(name: str) -> Read:
    """Read a number by its name."""

    def read(row: Row) -> float | None:
        value = row.get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    return read


def gather(runs: Sequence[Run], read: Read, *, label: str) -> Curve | None:
    """Average a number over runs, round by round.

    Runs that logged other rounds than the longest one are read between theirs.

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


def draw_curves(
    curves: Sequence[Curve],
    *,
    title: str,
    note: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    xlabel: str = "round",
) -> Picture:
    """Draw lines, with a band where they are means, and tell in words and numbers what they say."""

    def draw(axes: Axes) -> None:
        for index, curve in enumerate(curves):
            _draw_curve(axes, curve, LINES[index % len(LINES)], DASHES[index % len(DASHES)])
        axes.set_ylabel(ylabel)
        number_rounds(axes, xlabel)
        if limits:
            axes.set_ylim(*limits)
        elif _spans_decades(curves):
            scale_logarithmically(axes)
        add_legend(axes, [curve.label for curve in curves])

    told = " ".join(tell(curve, quantity=ylabel, x=xlabel) for curve in curves)
    return Picture(
        title=title,
        note=note,
        alt=told,
        svg=draw_figure(draw, height=HEIGHT + legend_height([curve.label for curve in curves])),
        data=tabulate(curves, caption=f"{title}: data", x=xlabel),
    )


def _draw_curve(axes: Axes, curve: Curve, colour: str, dashes: object) -> None:
    shown = thin(len(curve.rounds), MAX_POINTS)
    rounds, mean = curve.rounds[shown], curve.mean[shown]
    marker = "o" if len(rounds) == 1 else None
    axes.plot(rounds, mean, color=colour, linestyle=dashes, marker=marker, label=curve.label)
    if curve.deviation is not None:
        margin = curve.deviation[shown]
        axes.fill_between(rounds, mean - margin, mean + margin, color=colour, alpha=0.22, linewidth=0)


def _spans_decades(curves: Sequence[Curve]) -> bool:
    values = np.concatenate([curve.mean for curve in curves])
    return bool(values.min() > 0 and values.max() / values.min() > LOGARITHMIC_RATIO)


def thin(length: int, most: int) -> NDArray[np.int64]:
    """Choose at most so many positions, evenly, with the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def tell(curve: Curve, *, quantity: str, x: str = "round") -> str:
    """Say in numbers where a line begins, where it ends and how far it went on the way."""
    first, last = curve.mean[0], curve.mean[-1]
    name = quantity if curve.label == quantity or not curve.label else f"{curve.label}, {quantity}"
    start = f"{name[:1].upper()}{name[1:]}"
    if len(curve.rounds) == 1:
        return f"{start}: {plainly(first)} in {x} {curve.rounds[0]:,.0f}."
    change = abs(last - first) / max(abs(first), abs(last), 1e-12)
    verb = "stays near its start, from" if change < 0.03 else "rises from" if last > first else "falls from"
    low, high = curve.mean.argmin(), curve.mean.argmax()
    return (
        f"{start} {verb} {plainly(first)} in {x} {curve.rounds[0]:,.0f} to {plainly(last)} in {x} "
        f"{curve.rounds[-1]:,.0f}; lowest {plainly(curve.mean[low])} in {x} {curve.rounds[low]:,.0f}, highest "
        f"{plainly(curve.mean[high])} in {x} {curve.rounds[high]:,.0f}."
    )


def tabulate(curves: Sequence[Curve], *, caption: str, x: str = "round") -> Table:
    """List the numbers of lines, thinned to what can be read."""
    rounds = np.unique(np.concatenate([curve.rounds for curve in curves]))
    shown = rounds[thin(len(rounds), MAX_ROWS)]
    left_out = f" ({len(shown)} of {len(rounds)} logged)" if len(shown) < len(rounds) else ""
    return Table(
        caption=f"{caption}{left_out}",
        columns=(x, *(curve.label for curve in curves)),
        rows=tuple((number_cell("exact", float(at)), *(_at(curve, at) for curve in curves)) for at in shown),
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
