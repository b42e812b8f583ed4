"""Drawing with matplotlib, once in light and once in dark, as pictures that stand within the page."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDTH, HEIGHT = 4.1, 2.9
"""Inches of a figure: at its own size it fills a phone, so its letters stay readable there."""
CSS_PIXELS = 96
"""To the inch."""
LEGEND_WIDTH = 300
"""Points. The name of a line takes about 43 of them, and 5.2 for each letter."""

DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1)))


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of one of the two schemes. The colours of lines are Okabe and Ito's, lifted for the dark."""

    ink: str
    faint: str
    grid: str
    paper: str
    colours: tuple[str, ...]


LIGHT = Theme(
    ink="#1d2329",
    faint="#59636e",
    grid="#dfe2e6",
    paper="#ffffff",
    colours=("#0072b2", "#c04f00", "#00805c", "#a8487f", "#8a6a00", "#3f4a55"),
)
DARK = Theme(
    ink="#e4e7ea",
    faint="#a0a8b1",
    grid="#343b43",
    paper="#14181c",
    colours=("#62b6ea", "#f29150", "#3fc79a", "#e295c2", "#e3bd45", "#c3cad1"),
)

Draw = Callable[[Axes, Theme], None]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure in both schemes, as data URIs, with its size in CSS pixels."""

    light: str
    dark: str
    width: int
    height: int


def draw_figure(draw: Draw, *, width: float = WIDTH, height: float = HEIGHT) -> Drawing:
    """Draw a figure with one pair of axes in both schemes.

    Args:
        draw: draws onto the axes in the colours of a theme.
        width: inches.
        height: inches.
    """
    light, dark = (svg_uri(_render(draw, theme, width, height)) for theme in (LIGHT, DARK))
    return Drawing(light=light, dark=dark, width=round(width * CSS_PIXELS), height=round(height * CSS_PIXELS))


def svg_uri(svg: bytes) -> str:
    """Put a drawing into an address of its own."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def png_uri(png: bytes) -> str:
    """Put a picture into an address of its own."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _render(draw: Draw, theme: Theme, width: float, height: float) -> bytes:
    with mpl.rc_context(_style(theme)):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        draw(axes, theme)
        buffer = io.BytesIO()
        # Without these the file names its maker and the time, and no two reports of one run would be equal.
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nobody)
    return buffer.getvalue()


def _style(theme: Theme) -> dict[Any, Any]:
    return {
        "svg.fonttype": "path",
        "svg.hashsalt": "beliefmatch",
        "path.simplify_threshold": 0.3,
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "text.color": theme.ink,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9.5,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "hatch.color": theme.paper,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "lines.linewidth": 1.7,
    }


def number_rounds(axes: Axes, label: str = "round") -> None:
    """Give the horizontal axis whole numbers, few enough to be read."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))


def add_legend(axes: Axes, labels: Sequence[str]) -> None:
    """Name the lines above the axes, where they cover nothing; a single line needs no name."""
    if len(labels) > 1:
        columns = _legend_columns(labels)
        handles, _ = axes.get_legend_handles_labels()
        axes.figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6, columnspacing=1.4
        )


def legend_height(labels: Sequence[str]) -> float:
    """Height that the names of lines take above the first row of them, in inches."""
    return 0.19 * (-(-len(labels) // _legend_columns(labels)) - 1)


def _legend_columns(labels: Sequence[str]) -> int:
    return max(1, min(len(labels), int(LEGEND_WIDTH // (43 + 5.2 * max(map(len, labels))))))
