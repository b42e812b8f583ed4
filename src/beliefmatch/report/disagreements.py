"""The gallery: images to which teacher and student give different classes."""

import base64
import binascii
from collections.abc import Sequence

from beliefmatch.errors import FolderError
from beliefmatch.report.class_names import name_class
from beliefmatch.report.elements import Part, Tile
from beliefmatch.report.figures import png_uri
from beliefmatch.report.groups import Group
from beliefmatch.report.pseudo_images import png_size
from beliefmatch.report.runs import Run
from beliefmatch.runs.schema.measurement import Disagreement, MeasurementRecord

IN_SIGHT = 6
"""Images of a run. The others are folded away."""
MAX_TILES = 24
"""Images of a run that are shown at all."""
MAX_SIDE = 256
"""Pixels of an image. `measure` keeps 64."""


def disagreement_parts(groups: Sequence[Group]) -> list[Part]:
    """Return images of the first run of each group that kept some.

    Raises:
        FolderError: an image is damaged.
    """
    found = [(group, run) for group in groups if (run := _first(group)) is not None]
    several = len(groups) > 1
    return [part for group, run in found for part in _parts(group, run, several=several)]


def _first(group: Group) -> Run | None:
    return next((run for run in group.runs if run.measured is not None and run.measured.disagreements), None)


def _parts(group: Group, run: Run, *, several: bool) -> list[Part]:
    assert run.measured is not None
    tiles = [_tile(run, run.measured, each) for each in run.measured.disagreements[:MAX_TILES]]
    which = f" of {run.name}" if len(group.runs) > 1 else ""
    title = f"{f'{group.label}: w' if several else 'W'}here the two disagree"
    text = f"{_count_words(run.measured, len(tiles))}{which}. Those with the largest difference come first."
    parts = [Part(title=title, text=text, tiles=tuple(tiles[:IN_SIGHT]))]
    if rest := tiles[IN_SIGHT:]:
        parts.append(Part(tiles=tuple(rest), folded=f"{len(rest)} more"))
    return parts


def _count_words(measured: MeasurementRecord, shown: int) -> str:
    assert measured.agreement is not None, "pictures are of classes"
    all_of_them = max(shown, round((1 - measured.agreement.value) * measured.num_images))
    which = f"{shown} of the {all_of_them:,}" if shown < all_of_them else f"All {all_of_them:,}"
    return f"{which} images to which teacher and student give different classes"


def _tile(run: Run, measured: MeasurementRecord, each: Disagreement) -> Tile:
    teacher, student = (_name(measured, number) for number in (each.teacher_class, each.student_class))
    words = [("teacher", teacher), ("student", student)]
    classes = f"the teacher gives {teacher}, the student {student}"
    if each.label is not None:
        label = _name(measured, each.label)
        words.insert(0, ("label", label))
        classes = f"its label is {label}, {classes}"
    return Tile(png=png_uri(_read(run, each)), alt=f"Example {each.position:,}: {classes}.", words=tuple(words))


def _name(measured: MeasurementRecord, number: int) -> str:
    return name_class(measured.class_names, number)


def _read(run: Run, each: Disagreement) -> bytes:
    """Return the PNG file of an image, and check its size."""
    try:
        png = base64.b64decode(each.png)
    except (binascii.Error, ValueError):
        png = b""
    width, height = png_size(png)
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise FolderError(
            f"{run.path / 'measurement.json'} is damaged: the image of example {each.position} is no PNG file of at "
            f"most {MAX_SIDE} pixels a side; measure again"
        )
    return png
