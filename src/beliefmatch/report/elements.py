"""What a page is made of: sections with texts, tables and figures. The template draws them and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from beliefmatch.report.quantities import Kind, show, show_bounds, show_mean
from beliefmatch.runs.schema.measurement import Estimate


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    detail: str = ""
    """Stands behind the text, or below it where room is short."""
    value: float | str | None = None
    """What to sort by. None: last."""
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a heading for each row and column."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """The first cell of each is its heading."""
    over: tuple[tuple[str, int], ...] = ()
    """Headings over groups of columns, each with the number of columns below it."""
    sortable: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers, which stand at its right."""
        return tuple(any(row[column].is_number for row in self.rows) for column in range(len(self.columns)))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, what it says in words, and its data: either a drawing or a grid of images."""

    title: str
    note: str
    alt: str
    svg: str = ""
    """Element; empty where there is a PNG picture."""
    png: str = ""
    """Data URI."""
    width: int = 0
    """Pixels of the PNG picture."""
    height: int = 0
    data: Table | None = None


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A small image with a few words below it, one of many."""

    png: str
    """Data URI."""
    alt: str
    words: tuple[tuple[str, str], ...]
    """Lines: a name, and what it is."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a reader can rely on, and what to do next."""

    measured: str
    """What was measured, as a sentence."""
    unmeasured: str
    """What was not; empty where all was."""
    advice: str
    """What to do next, as a sentence."""
    command: str = ""
    """What to type for it."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """What a reader must know before the rest."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """Pictures under a heading of their own, and tables below them; all of it can be folded away."""

    title: str = ""
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    tiles: tuple[Tile, ...] = ()
    tables: tuple[Table, ...] = ()
    code: str = ""
    small: bool = False
    """Whether the pictures are many and small."""
    folded: str = ""
    """What it is called while it is folded away; empty where it is in sight."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands below it."""

    name: str
    title: str
    text: str = ""
    parts: tuple[Part, ...] = ()


def text_cell(text: str, *, detail: str = "", value: float | str | None = None) -> Cell:
    """Return a cell of words, sorted by them unless a value says otherwise."""
    return Cell(text=text, detail=detail, value=text if value is None else value)


def number_cell(kind: Kind, value: float | None, *, missing: str = "", detail: str = "") -> Cell:
    """Return a cell of one number, or of words where it is missing."""
    if value is None:
        return Cell(text=missing)
    return Cell(text=show(kind, value), detail=detail, value=value, is_number=True)


def estimate_cell(kind: Kind, estimate: Estimate | None, *, missing: str = "") -> Cell:
    """Return a cell of a number with its interval, or of words where it is missing."""
    if estimate is None:
        return Cell(text=missing)
    return number_cell(kind, estimate.value, detail=show_bounds(kind, estimate))


def mean_cell(kind: Kind, values: Sequence[float], *, missing: str = "", of: int = 0) -> Cell:
    """Return a cell of mean and deviation.

    Args:
        kind: of the values.
        values: of the runs that have one.
        missing: words where none has.
        of: number of runs; where some have no value, the cell says how many have.
    """
    if not values:
        return Cell(text=missing)
    detail = f"({len(values)} of {of} runs)" if 0 < len(values) < of else ""
    mean = sum(values) / len(values)
    return Cell(text=show_mean(kind, values), detail=detail, value=mean, is_number=True)
