"""Figure 2 and the mean transition curves of the paper, with ours."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from beliefmatch.engine.atomic import write_bytes
from beliefmatch.reproduction.runner import Found

COLOURS = {"no teacher": "#777777", "KD+AT": "#0072b2", "zero-shot, fine-tuned": "#d55e00", "zero-shot": "#d55e00"}


def write_figure2(path: Path, found: Sequence[Found]) -> None:
    """Plot accuracy against real images per class: ours solid with deviations, the paper's dashed."""
    figure, axes = _figure()
    start = [each for each in found if each.cell.row == "M = 0"]
    for column in dict.fromkeys(each.cell.column for each in found if each.cell.row != "M = 0"):
        cells = [each for each in found if each.cell.column == column and each.cell.row[4:].isdigit()]
        counts = [int(each.cell.row[4:]) for each in cells]
        if column.startswith("zero-shot"):
            cells, counts = [*start, *cells], [0, *counts]
        means = [each.mean for each in cells]
        spread = [each.deviation or 0 for each in cells]
        axes.errorbar(counts, means, yerr=spread, marker="o", capsize=3, color=COLOURS[column], label=f"{column}, ours")
        theirs = [
            (count, number.value)
            for count, each in zip(counts, cells, strict=True)
            for number in each.cell.published
            if number.by == "paper"
        ]
        if theirs:
            axes.plot(*zip(*theirs, strict=True), "--", color=COLOURS[column], label=f"{column}, paper")
    axes.set(xlabel="real images per class", ylabel="test accuracy, %")
    _write(path, figure, axes)


def write_transitions(path: Path, found: Sequence[Found]) -> None:
    """Plot mean transition curves of the network that guides (solid) and the one that follows (dashed)."""
    figure, axes = _figure()
    for each in found:
        if each.curves is None:
            continue
        steps = np.arange(1, len(each.curves["guide"]) + 1)
        colour = COLOURS.get(each.cell.column, "#009e73")
        follower = {"student": "teacher", "teacher": "student"}[each.curves["guided_by"]]
        for role, style, name in (("guide", "-", each.curves["guided_by"]), ("follower", "--", follower)):
            curve, margin = np.array(each.curves[role]), np.array(each.curves[f"{role}_margin"])
            axes.plot(steps, curve, style, color=colour, label=f"{each.cell.column}: {name}")
            axes.fill_between(steps, curve - margin, curve + margin, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="step", ylabel="probability of the class sought", ylim=(0, 1.02))
    _write(path, figure, axes)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _write(path: Path, figure: Figure, axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
