"""Figures as SVG that stands within the page and takes its colours from the page's style sheet, light or dark."""

import base64
import io
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from beliefmatch.number_texts import three_digits

WIDTH, HEIGHT = 4.1, 2.6
"""Inches of a figure: at its own size it fills a phone, so its letters stay readable there."""
PATH = re.compile(r"[MLCQz\d\s.e-]+")
"""What a path is written with."""
LEGEND_WIDTH = 300
"""Points. The name of a line takes about 43 of them, and 5.2 for each letter."""

INK, FAINT, GRID, PAPER = "#010101", "#010102", "#010103", "#010104"
"""Placeholders, since matplotlib knows no CSS variables: each becomes the variable of its name in `VARIABLES`."""
LINES = ("#010201", "#010202", "#010203", "#010204", "#010205", "#010206")
VARIABLES = {INK: "--ink", FAINT: "--faint", GRID: "--grid", PAPER: "--paper"} | {
    colour: f"--line-{number}" for number, colour in enumerate(LINES, 1)
}
"""CSS variables of templates/style.css, where their light and dark values stand."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1)))

STYLE: dict[Any, Any] = {
    # Letters stay letters, in the page's font.
    "svg.fonttype": "none",
    "svg.hashsalt": "beliefmatch",
    "text.parse_math": False,
    "path.simplify_threshold": 0.3,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.7,
}


def draw_figure(draw: Callable[[Axes], None], *, width: float = WIDTH, height: float = HEIGHT) -> str:
    """Return a figure with one pair of axes as an SVG element for an HTML page.

    Args:
        draw: draws onto the axes, in the colours of this module.
        width: inches.
        height: inches.
    """
    return _inline(_render(draw, width, height))


def _render(draw: Callable[[Axes], None], width: float, height: float) -> bytes:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        buffer = io.BytesIO()
        # Without these the file names its maker and the time, and no two reports of one run would be equal.
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nobody)
    return buffer.getvalue()


def _inline(drawn: bytes) -> str:
    """Rewrite an SVG file as an element of a page: no styles that reach beyond it, and CSS variables for colours."""
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        for child in [child for child in element if child.tag.endswith(("}style", "}metadata"))]:
            element.remove(child)
        element.tag = element.tag.rpartition("}")[2]
        if element.tag == "g":
            element.attrib.pop("id", None)
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            element.set(name.rpartition("}")[2], _shorten(value))
        if style := element.get("style"):
            style = style.replace(" font-family: 'DejaVu Sans';", "")
            element.set("style", re.sub("|".join(VARIABLES), lambda colour: f"var({VARIABLES[colour[0]]})", style))
        element.tail = None
        if element.text and not element.text.strip():
            element.text = None
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(value: str) -> str:
    """Round numbers to hundredths, and put a path on one line without spaces around its letters."""
    rounded = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s*([MLCQz])\s*", r"\1", rounded) if PATH.fullmatch(rounded) else rounded.replace("\n", "")


def png_uri(png: bytes) -> str:
    """Return a PNG picture as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def number_rounds(axes: Axes, label: str = "round") -> None:
    """Set whole numbers on the horizontal axis, few enough to be read."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))


def scale_logarithmically(axes: Axes) -> None:
    """Set the vertical axis to a logarithmic scale, with decimal numbers at powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: three_digits(number)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def add_legend(axes: Axes, labels: Sequence[str]) -> None:
    """Draw the names of the lines above the axes, where they cover nothing; a single line needs no name."""
    if len(labels) > 1:
        columns = _legend_columns(labels)
        handles, _ = axes.get_legend_handles_labels()
        axes.figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6, columnspacing=1.4
        )


def legend_height(labels: Sequence[str]) -> float:
    """Return the height that the names of lines take above the first row of them, in inches."""
    return 0.19 * (-(-len(labels) // _legend_columns(labels)) - 1)


def _legend_columns(labels: Sequence[str]) -> int:
    return max(1, min(len(labels), int(LEGEND_WIDTH // (43 + 5.2 * max(map(len, labels))))))
