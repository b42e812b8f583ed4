"""The batches themselves over time: grids of pseudo images, points of a plane, or real images of a baseline."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.image import imread
from numpy.typing import NDArray
from PIL import Image

from beliefmatch.errors import FolderError
from beliefmatch.report.class_frequencies import effective_classes
from beliefmatch.report.curves import entry, thin
from beliefmatch.report.elements import Part, Picture, Section, Table, number_cell
from beliefmatch.report.figures import png_uri
from beliefmatch.report.groups import Group
from beliefmatch.report.pseudo_points import draw_plane, read_plane
from beliefmatch.report.runs import Run, round_of
from beliefmatch.runs.reading import MAX_BYTES, read_bytes
from beliefmatch.runs.schema.row import Row

MAX_PICTURES = 4
"""Of one run."""
MAX_SIDE = 1100
"""Pixels. A larger grid is shrunk by a whole factor."""
PSEUDO_POINTS = "Pseudo points over time"
PSEUDO_IMAGES = "Pseudo images over time"
REAL_IMAGES = "Real images in the batches"
MIXED = "Batches over time"
PNG = b"\x89PNG\r\n\x1a\n"
"""How such files begin; width and height follow."""
MAX_PIXELS = 8 * 10**7
"""Of a picture. A grid of 64 images of 1,000 by 1,000 pixels has fewer."""
EXPLAINED = {
    PSEUDO_POINTS: "Areas are the classes that the teacher gives over the square, dashed lines the borders between the "
    "student's classes, dots the pseudo points.",
    PSEUDO_IMAGES: "Made without any data, brought back to pixels. Each grid shows images of one round.",
    REAL_IMAGES: "The student was trained on real images. Shown are some of them; they stay the same in all rounds.",
}
QUANTITIES = (
    ("teacher_confidence", "teacher's confidence"),
    ("student_confidence", "student's confidence"),
    ("batch_agreement", "agreement on the batch"),
)


def pseudo_section(groups: Sequence[Group]) -> Section | None:
    """Return pictures of the first run of each group that has some; None where none has.

    Raises:
        FolderError: a picture is damaged.
    """
    found = [(group, run) for group in groups if (run := next((run for run in group.runs if run.pictures), None))]
    if not found:
        return None
    kinds = list(dict.fromkeys(_kind(run) for _, run in found))
    parts = tuple(
        part
        for group, run in found
        for part in _parts(run, title=group.label if len(groups) > 1 else "", alone=len(group.runs) == 1)
    )
    title = kinds[0] if len(kinds) == 1 else MIXED
    return Section(name="pseudo", title=title, text=" ".join(EXPLAINED[kind] for kind in kinds), parts=parts)


def _kind(run: Run) -> str:
    if run.uses_real_images:
        return REAL_IMAGES
    return PSEUDO_POINTS if run.is_planar else PSEUDO_IMAGES


def _parts(run: Run, *, title: str, alone: bool) -> tuple[Part, Part]:
    chosen = [run.pictures[at] for at in thin(len(run.pictures), MAX_PICTURES)]
    if run.uses_real_images:
        chosen = chosen[-1:]
    pictures = Part(
        title=title,
        text="" if alone else f"Shown is {run.name}, seed {run.seed}.",
        pictures=tuple(_picture(run, path) for path in chosen),
        small=True,
    )
    return pictures, Part(tables=(_tabulate([_row(run, path) for path in chosen]),), folded="Data")


def _row(run: Run, picture: Path) -> Row:
    number = round_of(picture)
    return next((row for row in run.rows if row["round"] == number), {"round": number})


def _picture(run: Run, path: Path) -> Picture:
    title = f"Round {round_of(path):,}"
    row = _row(run, path)
    found = [f"{words} {value:.2f}" for name, words in QUANTITIES if (value := entry(name)(row)) is not None]
    then = f"In that round: {', '.join(found)}." if found else ""
    if path.suffix == ".npz":
        plane = read_plane(path)
        alt = (
            f"{title}: {len(plane.points)} pseudo points; both networks give the same class on "
            f"{100 * plane.agreement:.1f} % of the square. {then}"
        )
        return Picture(title=title, note="", alt=alt, svg=draw_plane(plane))
    png, pixels = read_grid(path)
    height, width = pixels.shape[:2]
    what = "real images" if run.uses_real_images else "pseudo images"
    return Picture(
        title="Some of them" if run.uses_real_images else title,
        note="",
        alt=f"{title}: a grid of {what}, mean brightness {pixels.mean():.2f} of 1. {then}",
        png=png_uri(png),
        width=width,
        height=height,
    )


def read_grid(path: Path) -> tuple[bytes, NDArray[np.float32]]:
    """Read a grid of images, shrunk by a whole factor where it is very large.

    Returns:
        The PNG file, and its pixels (height, width, channels) in [0, 1].

    Raises:
        FolderError: the file is damaged.
    """
    png = read_bytes(path, MAX_BYTES)
    width, height = png_size(png)
    if not 0 < width * height <= MAX_PIXELS:
        raise FolderError(
            f"{path} cannot be read: it is no PNG file of at most {MAX_PIXELS:,} pixels; remove it and build the "
            "report again"
        )
    try:
        if (factor := -(-max(width, height) // MAX_SIDE)) > 1:
            # Before it becomes floats, which take four times the memory.
            png = _shrink(png, factor)
        pixels = np.atleast_3d(imread(io.BytesIO(png), format="png"))[..., :3].astype(np.float32)
    # A damaged picture fails in many ways, a syntax error among them.
    except Exception as error:
        raise FolderError(
            f"{path} cannot be read ({type(error).__name__}): remove it and build the report again"
        ) from error
    return png, pixels


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height that a PNG file names in pixels; 0 and 0 where it is none."""
    if not png.startswith(PNG):
        return 0, 0
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    return width, height


def _shrink(png: bytes, factor: int) -> bytes:
    """Shrink a PNG file by a whole factor; each pixel is the mean of those that it stands for."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        image.convert("RGB").reduce(factor).save(buffer, format="PNG")
    return buffer.getvalue()


def _tabulate(rows: Sequence[Row]) -> Table:
    of_classes = any("teacher_classes" in row for row in rows)
    return Table(
        caption="The rounds shown: outputs of both networks",
        columns=(
            "round",
            *(words for _, words in QUANTITIES),
            *(("teacher's effective classes",) if of_classes else ()),
        ),
        rows=tuple(
            (
                number_cell("exact", row["round"]),
                *(number_cell("fraction", entry(name)(row)) for name, _ in QUANTITIES),
                *((number_cell("number", effective_classes("teacher")(row)),) if of_classes else ()),
            )
            for row in rows
        ),
        sortable=True,
    )
