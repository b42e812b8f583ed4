"""The section that shows the batches themselves, over time."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.image import imread, imsave
from numpy.typing import NDArray

from beliefmatch.errors import FolderError
from beliefmatch.report.class_frequencies import shares
from beliefmatch.report.curves import entry, thin
from beliefmatch.report.elements import Part, Picture, Section, Table, number_cell
from beliefmatch.report.figures import png_uri
from beliefmatch.report.groups import Group
from beliefmatch.report.planes import draw_plane, read_plane
from beliefmatch.report.runs import Run, round_of
from beliefmatch.runs.collapse_detection import effective_number

MAX_PICTURES = 4
"""Of one run."""
MAX_SIDE = 1100
"""Pixels. A larger grid is shrunk by a whole factor."""
PSEUDO_POINTS = "Pseudo points over time"
PSEUDO_IMAGES = "Pseudo images over time"
REAL_IMAGES = "Real images in the batches"
MIXED = "Batches over time"
EXPLAINED = {
    PSEUDO_POINTS: "Areas are the classes that the teacher gives over the square, dashed lines the borders between the "
    "student's classes, dots the pseudo points.",
    PSEUDO_IMAGES: "Made without any data, brought back to pixels. Each grid shows images of one round.",
    REAL_IMAGES: "The student learnt from real images. Shown are some of them; they stay the same in all rounds.",
}
TOLD = (
    ("teacher_confidence", "teacher's confidence"),
    ("student_confidence", "student's confidence"),
    ("batch_agreement", "agreement on the batch"),
)


def pseudo_section(groups: Sequence[Group]) -> Section | None:
    """Show pictures of the first run of each group; None where there are none.

    Raises:
        FolderError: a picture is damaged.
    """
    shown = [(group, run) for group in groups if (run := next((run for run in group.runs if run.pictures), None))]
    if not shown:
        return None
    kinds = list(dict.fromkeys(_kind(run) for _, run in shown))
    parts = tuple(
        _part(run, title=group.label if len(groups) > 1 else "", alone=len(group.runs) == 1) for group, run in shown
    )
    title = kinds[0] if len(kinds) == 1 else MIXED
    return Section(name="pseudo", title=title, text=" ".join(EXPLAINED[kind] for kind in kinds), parts=parts)


def _kind(run: Run) -> str:
    if run.uses_real_images:
        return REAL_IMAGES
    return PSEUDO_POINTS if run.is_planar else PSEUDO_IMAGES


def _part(run: Run, *, title: str, alone: bool) -> Part:
    chosen = (
        run.pictures[-1:]
        if run.uses_real_images
        else [run.pictures[at] for at in thin(len(run.pictures), MAX_PICTURES)]
    )
    text = "" if alone else f"Shown is {run.name}, seed {run.seed}."
    return Part(
        title=title,
        text=text,
        pictures=tuple(_picture(run, path) for path in chosen),
        tables=(_tabulate(run, chosen),),
        small=True,
        folded="Data",
    )


def _picture(run: Run, path: Path) -> Picture:
    number = round_of(path)
    told = _tell(run, number)
    if path.suffix == ".npz":
        plane = read_plane(path)
        return Picture(
            title=f"Round {number:,}",
            note="",
            alt=f"Round {number:,}: {len(plane.points)} pseudo points; both networks give the same class on "
            f"{100 * plane.agreement:.1f} % of the square. {told}",
            svg=draw_plane(plane),
        )
    png, pixels = read_grid(path)
    height, width = pixels.shape[:2]
    what, title = ("real images", "Some of them") if run.uses_real_images else ("pseudo images", f"Round {number:,}")
    mean = f"mean brightness {pixels.mean():.2f} of 1"
    return Picture(
        title=title,
        note="",
        alt=f"Round {number:,}: a grid of {what}, {mean}. {told}",
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
    try:
        png = path.read_bytes()
        pixels = np.atleast_3d(imread(io.BytesIO(png), format="png"))[..., :3].astype(np.float32)
    # A damaged picture fails in many ways, a syntax error among them.
    except Exception as error:
        raise FolderError(
            f"{path} cannot be read ({type(error).__name__}): remove it and build the report again"
        ) from error
    factor = -(-max(pixels.shape[:2]) // MAX_SIDE)
    if factor == 1:
        return png, pixels
    height, width = (side // factor for side in pixels.shape[:2])
    blocks = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    shrunk = blocks.mean(axis=(1, 3))
    buffer = io.BytesIO()
    imsave(buffer, np.broadcast_to(shrunk, (height, width, 3)), format="png")
    return buffer.getvalue(), shrunk


def _tell(run: Run, number: int | None) -> str:
    row = next((row for row in run.rows if row["round"] == number), {})
    told = [f"{words} {value:.2f}" for name, words in TOLD if (value := entry(name)(row)) is not None]
    return f"In that round: {', '.join(told)}." if told else ""


def _tabulate(run: Run, chosen: Sequence[Path]) -> Table:
    rows = []
    for path in chosen:
        number = round_of(path)
        row = next((row for row in run.rows if row["round"] == number), {})
        found = shares(row, "teacher_classes")
        rows.append(
            (
                number_cell("exact", number),
                *(number_cell("fraction", entry(name)(row)) for name, _ in TOLD),
                number_cell("number", None if found is None else effective_number(found)),
            )
        )
    return Table(
        caption="The rounds shown: what both networks say",
        columns=("round", *(words for _, words in TOLD), "teacher's effective classes"),
        rows=tuple(rows),
        sortable=True,
    )
