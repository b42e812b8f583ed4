"""Figure 2 and the mean transition curves of the paper, with ours."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from beliefmatch.runs.atomic import write_bytes
from beliefmatch.studies.published import FINE_TUNED, KD_AT, NO_TEACHER, PAPER, ZERO_SHOT
from beliefmatch.studies.reproduction_table import Found

COLOURS = {NO_TEACHER: "#777777", KD_AT: "#0072b2", FINE_TUNED: "#d55e00", ZERO_SHOT: "#d55e00"}


def write_figure2(path: Path, found: Sequence[Found]) -> None:
    """Plot accuracy against real images per class, for each pair: ours solid with deviations, the paper's dashed."""
    figure, panels = _panels(found)
    for axes, cells in panels:
        methods = dict.fromkeys(each.label.method for each in cells if isinstance(each.label.images_per_class, int))
        for method in methods or (ZERO_SHOT,):
            _draw_curve(axes, method, cells)
        axes.set(xlabel="real images per class", ylabel="test accuracy, %")
    _write(path, figure, panels)


def _draw_curve(axes: Axes, method: str, cells: Sequence[Found]) -> None:
    """Draw the accuracies of a method; a fine-tuned student begins where no image was seen."""
    counted: list[tuple[int, Found]] = []
    for each in cells:
        count = each.label.images_per_class
        if each.label.method == method and isinstance(count, int):
            counted.append((count, each))
        elif each.label.method == ZERO_SHOT and method in (ZERO_SHOT, FINE_TUNED):
            counted.append((0, each))
    counts, drawn = zip(*counted, strict=True)
    spread = [each.deviation or 0 for each in drawn]
    means = [each.mean for each in drawn]
    axes.errorbar(counts, means, yerr=spread, marker="o", capsize=3, color=COLOURS[method], label=f"{method}, ours")
    theirs = [(count, number.value) for count, each in counted for number in each.label.published if number.by == PAPER]
    if theirs:
        axes.plot(*zip(*theirs, strict=True), "--", color=COLOURS[method], label=f"{method}, paper")


def write_transitions(path: Path, found: Sequence[Found]) -> None:
    """Plot mean transition curves of each pair: the network that guides solid, the one that follows dashed."""
    figure, panels = _panels(found)
    for axes, cells in panels:
        for each in cells:
            _draw_transition(axes, each)
        axes.set(xlabel="step", ylabel="probability of the class sought", ylim=(0, 1.02))
    _write(path, figure, panels)


def _draw_transition(axes: Axes, each: Found) -> None:
    if each.curves is None:
        return
    curves = each.curves
    steps = np.arange(1, len(curves.guide) + 1)
    colour = COLOURS[each.label.method]
    lines = (
        ("-", curves.guided_by, curves.guide, curves.guide_margin),
        ("--", curves.followed_by, curves.follower, curves.follower_margin),
    )
    for style, name, means, margins in lines:
        curve, margin = np.array(means), np.array(margins)
        axes.plot(steps, curve, style, color=colour, label=f"{each.label.method}: {name}")
        axes.fill_between(steps, curve - margin, curve + margin, color=colour, alpha=0.2, linewidth=0)


Panels = list[tuple[Axes, list[Found]]]
"""Axes to draw in for each pair of networks, with what was found for it."""


def _panels(found: Sequence[Found]) -> tuple[Figure, Panels]:
    rows = list(dict.fromkeys(each.label.row for each in found))
    figure = Figure(figsize=(7, 4.2 * len(rows)), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    panels: Panels = []
    for row, axes in zip(rows, figure.subplots(len(rows), squeeze=False).flat, strict=True):
        axes.set_title(row, fontsize=10)
        panels.append((axes, [each for each in found if each.label.row == row]))
    return figure, panels


def _write(path: Path, figure: Figure, panels: Panels) -> None:
    for axes, _ in panels:
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
