"""How often a network gives each class: read from logged rows, summed up in one number, drawn as stacked areas."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from beliefmatch.report.curves import MAX_ROWS, Read, Values, gather, thin
from beliefmatch.report.elements import Cell, Picture, Table, number_cell
from beliefmatch.report.figures import INK, PAPER, draw_figure, number_rounds
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import plainly
from beliefmatch.runs.collapse_detection import effective_number
from beliefmatch.runs.folder import Row

MIN_NAMED = 0.07
"""Share at the last round from which on an area has room for its name."""


def shares(row: Row, name: str) -> list[float] | None:
    """Read how often each class was given; None where the row does not say."""
    values = row.get(name)
    if not isinstance(values, list) or not values:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) and value >= 0 for value in values):
        return None
    return values if sum(values) > 0 else None


def _share_of(name: str, number: int, num_classes: int) -> Read:
    def read(row: Row) -> float | None:
        found = shares(row, name)
        return found[number] if found is not None and len(found) == num_classes else None

    return read


def draw_shares(group: Group, network: str, num_classes: int, batches: str) -> Picture:
    """Draw how often a network gives each class, as areas on top of each other, against rounds."""
    name = f"{network}_classes"
    found = [
        gather(group.runs, _share_of(name, number, num_classes), label=str(number)) for number in range(num_classes)
    ]
    curves = [curve for curve in found if curve is not None]
    rounds, parts = curves[0].rounds, np.stack([curve.mean for curve in curves])

    def draw(axes: Axes) -> None:
        _draw_stack(axes, rounds, parts)
        axes.set_ylabel("share of the batch")

    seeds = f", mean over {len(group.runs)} runs" if len(group.runs) > 1 else ""
    return Picture(
        title=f"Classes that the {network} gives",
        note=f"Share of each class in the {batches}{seeds}, from class 0 below to class {num_classes - 1} above.",
        alt=_tell_stack(network, rounds, parts),
        svg=draw_figure(draw),
        data=_tabulate_stack(network, rounds, parts),
    )


def _draw_stack(axes: Axes, rounds: Values, parts: Values) -> None:
    colours = mpl.colormaps["viridis"](np.linspace(0.08, 0.95, len(parts)))
    tops = np.cumsum(parts, axis=0)
    if len(rounds) == 1:
        rounds, tops = np.array([rounds[0] - 0.5, rounds[0] + 0.5]), tops.repeat(2, axis=1)
    bottoms = np.concatenate([np.zeros_like(tops[:1]), tops[:-1]])
    for number, (bottom, top) in enumerate(zip(bottoms, tops, strict=True)):
        axes.fill_between(rounds, bottom, top, facecolor=colours[number], edgecolor=PAPER, linewidth=0.6)
        if top[-1] - bottom[-1] >= MIN_NAMED:
            middle = (top[-1] + bottom[-1]) / 2
            axes.annotate(
                str(number),
                (rounds[-1], middle),
                (5, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                size=8.5,
            )
    axes.set(xlim=(rounds[0], rounds[-1]), ylim=(0, 1))
    axes.grid(visible=False)
    number_rounds(axes)


def _tell_stack(network: str, rounds: Values, parts: Values) -> str:
    last = parts[:, -1]
    often, rarely = int(last.argmax()), int(last.argmin())
    return (
        f"In round {rounds[-1]:,.0f} the {network} gives class {often} most often, to {100 * last[often]:.1f} % of "
        f"the batch, and class {rarely} least often, to {100 * last[rarely]:.1f} %; even shares would be "
        f"{100 / len(parts):.1f} %. Effective number of classes: {plainly(effective_number(parts[:, 0].tolist()))} in "
        f"round {rounds[0]:,.0f}, {plainly(effective_number(last.tolist()))} in round {rounds[-1]:,.0f}."
    )


def _tabulate_stack(network: str, rounds: Values, parts: Values) -> Table:
    shown = thin(len(rounds), MAX_ROWS)
    return Table(
        caption=f"Share of each class that the {network} gives, in % of the batch",
        columns=("round", *(f"class {number}" for number in range(len(parts)))),
        rows=tuple(
            (
                number_cell("exact", float(rounds[at])),
                *(Cell(text=f"{100 * part:.1f}", value=float(part), is_number=True) for part in parts[:, at]),
            )
            for at in shown
        ),
        sortable=True,
    )
