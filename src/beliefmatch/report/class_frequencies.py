"""How often a network gives each class: read from logged rows, summed up in one number, drawn as stacked areas."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from beliefmatch.number_texts import three_digits
from beliefmatch.report.curves import MAX_ROWS, Read, Values, gather, thin
from beliefmatch.report.elements import Cell, Picture, Table, number_cell
from beliefmatch.report.figures import INK, PAPER, draw_figure, number_rounds
from beliefmatch.report.groups import Group, batches_of
from beliefmatch.runs.collapse_detection import effective_number
from beliefmatch.runs.schema.row import Row

MAX_POINTS = 120
"""Of the edge of an area. There are as many edges as classes, and more points of them are not seen."""
MAX_STACKED = 12
"""Classes that a stack of areas can show apart."""
MIN_NAMED = 0.07
"""Frequency at the last round from which on an area has room for its name."""


def frequencies(row: Row, network: str) -> list[float] | None:
    """Return how often a network gave each class; None where the row does not hold it."""
    values = row.get(f"{network}_classes")
    if not isinstance(values, list) or not values:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) and value >= 0 for value in values):
        return None
    return values if sum(values) > 0 else None


def effective_classes(network: str) -> Read:
    """Return what reads the exponential of the entropy of the classes that a network gave."""

    def read(row: Row) -> float | None:
        found = frequencies(row, network)
        return None if found is None else effective_number(found)

    return read


def num_classes_of(group: Group) -> int:
    """Return the number of classes that the runs of a group logged; 0 where they logged none."""
    found = (frequencies(run.rows[-1], "teacher") for run in group.runs if run.rows)
    return next((len(values) for values in found if values is not None), 0)


def draw_frequencies(group: Group, network: str) -> Picture:
    """Return a figure of how often a network gives each class, as areas on top of each other, against rounds."""
    num_classes = num_classes_of(group)
    reads = [_frequency_of(network, number, num_classes) for number in range(num_classes)]
    found = [curve for read in reads if (curve := gather(group.runs, read, label="")) is not None]
    rounds, parts = found[0].rounds, np.stack([curve.mean for curve in found])
    chosen = thin(len(rounds), MAX_POINTS)
    rounds, parts = rounds[chosen], parts[:, chosen]
    over = f", mean over {len(group.runs)} runs" if len(group.runs) > 1 else ""
    return Picture(
        title=f"Classes that the {network} gives",
        note=f"Frequency of each class in the {batches_of([group])}{over}, from class 0 below to class "
        f"{num_classes - 1} above.",
        alt=_describe(network, rounds, parts),
        svg=draw_figure(lambda axes: _draw_stack(axes, rounds, parts)),
        data=_tabulate(network, rounds, parts),
    )


def _frequency_of(network: str, number: int, num_classes: int) -> Read:
    def read(row: Row) -> float | None:
        found = frequencies(row, network)
        return found[number] if found is not None and len(found) == num_classes else None

    return read


def _draw_stack(axes: Axes, rounds: Values, parts: Values) -> None:
    colours = mpl.colormaps["viridis"](np.linspace(0.08, 0.95, len(parts)))
    tops = np.cumsum(parts, axis=0)
    if len(rounds) == 1:
        rounds, tops = np.array([rounds[0] - 0.5, rounds[0] + 0.5]), tops.repeat(2, axis=1)
    bottoms = np.concatenate([np.zeros_like(tops[:1]), tops[:-1]])
    for number, (bottom, top) in enumerate(zip(bottoms, tops, strict=True)):
        axes.fill_between(rounds, bottom, top, facecolor=colours[number], edgecolor=PAPER, linewidth=0.6)
        if top[-1] - bottom[-1] >= MIN_NAMED:
            position = (rounds[-1], (top[-1] + bottom[-1]) / 2)
            axes.annotate(str(number), position, (5, 0), textcoords="offset points", va="center", color=INK, size=8.5)
    axes.set(xlim=(rounds[0], rounds[-1]), ylim=(0, 1), ylabel="fraction of the batch")
    axes.grid(visible=False)
    number_rounds(axes)


def _describe(network: str, rounds: Values, parts: Values) -> str:
    last = parts[:, -1]
    often, rarely = int(last.argmax()), int(last.argmin())
    return (
        f"In round {rounds[-1]:,.0f} the {network} gives class {often} most often, to {100 * last[often]:.1f} % of "
        f"the batch, and class {rarely} least often, to {100 * last[rarely]:.1f} %; even frequencies would be "
        f"{100 / len(parts):.1f} %. Effective number of classes: "
        f"{three_digits(effective_number(parts[:, 0].tolist()))} in round {rounds[0]:,.0f}, "
        f"{three_digits(effective_number(last.tolist()))} in round {rounds[-1]:,.0f}."
    )


def _tabulate(network: str, rounds: Values, parts: Values) -> Table:
    def row(at: int) -> tuple[Cell, ...]:
        cells = (Cell(text=f"{100 * part:.1f}", value=float(part), is_number=True) for part in parts[:, at])
        return number_cell("exact", float(rounds[at])), *cells

    return Table(
        caption=f"Frequency of each class that the {network} gives, in % of the batch",
        columns=("round", *(f"class {number}" for number in range(len(parts)))),
        rows=tuple(row(at) for at in thin(len(rounds), MAX_ROWS)),
        sortable=True,
    )
