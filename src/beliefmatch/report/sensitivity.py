"""Sensitivity of a network: agreement on pseudo inputs without a part of each group of channels, or without a block."""

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from beliefmatch.errors import SettingsError
from beliefmatch.report.curves import Curve, draw_curves
from beliefmatch.report.elements import Part, Table, number_cell, text_cell
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.schema.sensitivity import Sensitivity
from beliefmatch.setting_names import Setting

PLOTS = (".png", ".svg", ".pdf")
"""Endings of files of plots."""
INCHES = 0.3
"""Of a plot's width for each group or block."""


def sensitivity_parts(found: Sensitivity | None) -> tuple[Part, ...]:
    """Return a figure and a table of groups, and of blocks, as far as they were measured."""
    if found is None:
        return ()
    parts = ()
    for title, what, curves, table in (
        ("Sensitivity of the teacher to channels", "group of channels", _group_curves(found), _group_table(found)),
        ("Sensitivity of the teacher to blocks", "block", _block_curves(found), _block_table(found)),
    ):
        if not table.rows:
            continue
        note = f"How often the teacher gives the same class on {found.num_compared} pseudo inputs without that part."
        picture = draw_curves(
            curves,
            title=title,
            note=f"{note} Nothing was trained.",
            ylabel="agreement",
            limits=(0.0, 1.02),
            xlabel=f"{what}, in the order of the network",
        )
        parts += (Part(title=title, pictures=(picture,), tables=(table,), folded=f"{title}, one by one"),)
    return parts


def _group_curves(found: Sensitivity) -> list[Curve]:
    numbers = np.arange(1, len(found.groups) + 1, dtype=np.float64)
    return [
        Curve(label=_without(fraction), rounds=numbers, mean=np.array([each.agreements[row] for each in found.groups]))
        for row, fraction in enumerate(found.fractions)
    ]


def _block_curves(found: Sensitivity) -> list[Curve]:
    numbers = np.arange(1, len(found.blocks) + 1, dtype=np.float64)
    return [Curve(label="without it", rounds=numbers, mean=np.array([each.agreement for each in found.blocks]))]


def _without(fraction: float) -> str:
    return f"without {100 * fraction:g} %"


def _group_table(found: Sensitivity) -> Table:
    rows = tuple(
        (
            text_cell(group.name),
            number_cell("exact", number),
            number_cell("exact", group.channels),
            number_cell("fraction", group.macs_fraction),
            *(number_cell("fraction", agreement) for agreement in group.agreements),
        )
        for number, group in enumerate(found.groups, start=1)
    )
    columns = ("channels of", "number", "channels", "MACs of half", *map(_without, found.fractions))
    return Table(caption="Agreement without a part of each group", columns=columns, rows=rows, sortable=True)


def _block_table(found: Sensitivity) -> Table:
    rows = tuple(
        (
            text_cell(block.name),
            number_cell("exact", number),
            number_cell("fraction", block.macs_fraction),
            number_cell("fraction", block.agreement),
        )
        for number, block in enumerate(found.blocks, start=1)
    )
    columns = ("block", "number", "MACs", "without it")
    return Table(caption="Agreement without each block", columns=columns, rows=rows, sortable=True)


def check_plot(path: Path) -> None:
    """Check that a plot can be written to a file, before anything is measured.

    Raises:
        SettingsError: its ending is none of a plot's, or its folder is not there.
    """
    if path.suffix.lower() not in PLOTS:
        raise SettingsError(f"{Setting('plot')} {path} should end in {', '.join(PLOTS[:-1])} or {PLOTS[-1]}")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{Setting('plot')} {path} would lie in a folder that is not there")


def write_plot(path: Path, found: Sensitivity) -> None:
    """Write agreement for each group, and for each block, as a plot with their names.

    Args:
        path: file that ends as `PLOTS` has it; one that is there is replaced.
        found: what was measured.
    """
    drawn = [
        (names, curves)
        for names, curves in (
            ([group.name for group in found.groups], _group_curves(found)),
            ([block.name for block in found.blocks], _block_curves(found)),
        )
        if names
    ]
    width = max(6.0, INCHES * max((len(names) for names, _ in drawn), default=0))
    figure = Figure(figsize=(width, 4.0 * max(1, len(drawn))), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    for axes, (names, curves) in zip(figure.subplots(max(1, len(drawn)), squeeze=False)[:, 0], drawn, strict=False):
        _plot(axes, names, curves)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower())
    write_bytes(path, buffer.getvalue())


def _plot(axes: Axes, names: list[str], curves: list[Curve]) -> None:
    for curve in curves:
        axes.plot(curve.rounds, curve.mean, marker="o", linewidth=1.3, label=curve.label)
    axes.set_xticks(range(1, len(names) + 1), names, rotation=90, fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("agreement")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
