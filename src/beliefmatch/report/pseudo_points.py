"""Pseudo points of two-dimensional inputs, between the decision regions of both networks over the plane."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from beliefmatch.errors import FolderError
from beliefmatch.report.figures import INK, LINES, draw_figure
from beliefmatch.runs.arrays import read_arrays
from beliefmatch.runs.folder import PLANE_HALF_SIDE

MAX_POINTS, MAX_REGION_SIDE = 100_000, 1_000
"""Of a file. A run writes a batch of points, and maps of 121 by 121."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What a picture of the plane holds."""

    points: NDArray[np.float64]
    """(points, 2)."""
    teacher: NDArray[np.int64]
    """(side, side), the most likely class; rows from below, columns from the left."""
    student: NDArray[np.int64]

    @property
    def agreement(self) -> float:
        """Fraction of the square on which both networks give the same class."""
        return float((self.teacher == self.student).mean())


def read_plane(path: Path) -> Plane:
    """Read points and regions.

    Raises:
        FolderError: the file is damaged.
    """
    arrays = read_arrays(path, ("points", "teacher", "student"))
    try:
        points, teacher, student = (arrays[name] for name in ("points", "teacher", "student"))
    except KeyError as error:
        raise FolderError(f"{path} has no array {error}: remove it and build the report again") from error
    fits = points.ndim == 2 and points.shape[1] == 2 and len(points) <= MAX_POINTS and bool(np.isfinite(points).all())
    for regions in (teacher, student):
        fits &= regions.ndim == 2 and regions.shape == teacher.shape and min(regions.shape) >= 2
        fits &= max(regions.shape) <= MAX_REGION_SIDE and regions.dtype == np.uint8
    if not fits:
        raise FolderError(f"{path} is damaged: expected points (n, 2) and two square maps of classes; remove it")
    return Plane(points=points.astype(np.float64), teacher=teacher.astype(np.int64), student=student.astype(np.int64))


def draw_plane(plane: Plane) -> str:
    """Return a figure of the teacher's regions as areas, the student's borders as lines, and the points."""

    def draw(axes: Axes) -> None:
        num_classes = 1 + int(max(plane.teacher.max(), plane.student.max()))
        sides = [np.linspace(-PLANE_HALF_SIDE, PLANE_HALF_SIDE, length) for length in reversed(plane.teacher.shape)]
        levels = np.arange(num_classes + 1) - 0.5
        fills = mpl.colormaps["viridis"](np.linspace(0.15, 0.95, num_classes))
        axes.contourf(*sides, plane.teacher, levels=levels, colors=fills, alpha=0.45)
        for number in np.unique(plane.student)[1:]:
            axes.contour(*sides, plane.student >= number, levels=[0.5], colors=INK, linewidths=1.3, linestyles="--")
        axes.plot(*plane.points.T, "o", color=LINES[1], markersize=2.6, markeredgewidth=0)
        ends = (-PLANE_HALF_SIDE, PLANE_HALF_SIDE)
        axes.set(xlim=ends, ylim=ends, xticks=(ends[0], 0, ends[1]), yticks=(ends[0], 0, ends[1]), aspect="equal")
        axes.grid(visible=False)

    return draw_figure(draw, width=2.6, height=2.6)
