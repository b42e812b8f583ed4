"""Pictures of the toy: the film of its run, and a still of both networks and where they differ."""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from beliefmatch.data.toy import LabelledPoints
from beliefmatch.errors import FolderError
from beliefmatch.runs.arrays import read_arrays
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import PLANE_HALF_SIDE, RunFolder
from beliefmatch.setting_names import Setting

NUM_CLASSES = 3

CLASS_COLOURS = ("#E69F00", "#56B4E9", "#009E73")
"""Colour-blind people can distinguish them too: Okabe & Ito 2008."""
REGION_COLOURS = ListedColormap(["#F7DDA6", "#C4E4F7", "#A6DBCB"])
"""The same, paler."""
CLASS_MARKERS = ("s", "o", "^")
DIFFERENCE_COLOURS = ListedColormap(["#EDEDED", "#A3005C"])
FRAMES_A_SECOND = 6
LAST_FRAME_SECONDS = 3
EXTENT = (-PLANE_HALF_SIDE, PLANE_HALF_SIDE, -PLANE_HALF_SIDE, PLANE_HALF_SIDE)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What both networks and the points were after a round."""

    round: int
    points: np.ndarray
    """(batch, 2), pseudo points."""
    teacher: Tensor
    """(side, side), the teacher's classes over the square, row by row from below."""
    student: Tensor

    @staticmethod
    def read(path: Path) -> "Snapshot":
        """Read what `training.pictures.write_plane` wrote."""
        arrays = read_arrays(path, ("points", "teacher", "student"))
        if len(arrays) != 3:
            raise FolderError(f"{path} is damaged: it holds {sorted(arrays)}, expected points, teacher and student")
        regions = {name: torch.from_numpy(arrays[name]) for name in ("teacher", "student")}
        return Snapshot(round=int(path.stem.removeprefix("round_")), points=arrays["points"], **regions)


def read_snapshots(folder: RunFolder) -> list[Snapshot]:
    """Read the snapshots of a run, in order.

    Raises:
        FolderError: there are none.
    """
    paths = sorted(folder.pseudo.glob("round_*.npz"))
    if not paths:
        raise FolderError(
            f"{folder.pseudo} holds no snapshots to draw: run the toy anew in another {Setting('folder')}"
        )
    return [Snapshot.read(path) for path in paths]


def write_animation(path: Path, snapshots: Sequence[Snapshot], *, with_trails: bool) -> None:
    """Write the decision regions of both networks and the pseudo points as they travel, as a GIF.

    Args:
        path: GIF file.
        snapshots: at least one, in order.
        with_trails: whether to draw the way of each point since the snapshot before, where points persist.
    """
    figure = Figure(figsize=(7.2, 4.1))
    FigureCanvasAgg(figure)
    panels = _draw_panels(figure, snapshots[0])
    writer = PillowWriter(fps=FRAMES_A_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / path.name
        writer.setup(figure, film, dpi=90)
        for before, now in zip([None, *snapshots], snapshots, strict=False):
            agreement = agreement_over_square(now.teacher, now.student)
            figure.suptitle(f"round {now.round:,} of {snapshots[-1].round:,}, agreement {agreement:.1%}", y=0.99)
            for panel in panels:
                panel.show(now, before.points if before and with_trails else None)
            writer.grab_frame()
        for _ in range(LAST_FRAME_SECONDS * FRAMES_A_SECOND):
            writer.grab_frame()
        writer.finish()
        write_bytes(path, film.read_bytes())


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """The parts of one square of the film that change; all else is drawn once."""

    role: Literal["teacher", "student"]
    regions: AxesImage
    trails: LineCollection
    points: PathCollection

    def show(self, now: Snapshot, before: np.ndarray | None) -> None:
        """Update all to a snapshot, with trails from the points before it."""
        self.regions.set_data(getattr(now, self.role).numpy())
        self.trails.set_segments([] if before is None else list(np.stack([before, now.points], axis=1)))
        self.points.set_offsets(now.points)


def _draw_panels(figure: Figure, first: Snapshot) -> list[_Panel]:
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.86, wspace=0.03)
    teacher, student = figure.subplots(1, 2)
    for label in range(NUM_CLASSES):
        inside = (first.teacher == label).float().numpy()
        student.contour(inside, levels=[0.5], extent=EXTENT, colors="black", linewidths=0.7, linestyles="dashed")
    squares: tuple[tuple[Literal["teacher", "student"], Axes, str], ...] = (
        ("teacher", teacher, "teacher"),
        ("student", student, "student, with the teacher's boundaries"),
    )
    return [
        _Panel(
            role=role,
            regions=_draw_regions(axes, title, getattr(first, role)),
            trails=axes.add_collection(LineCollection([], colors="black", linewidths=0.6, alpha=0.5)),
            points=_draw_pseudo_points(axes, first.points),
        )
        for role, axes, title in squares
    ]


def write_still(path: Path, training: LabelledPoints, pseudo: np.ndarray, regions: Sequence[Tensor]) -> None:
    """Write the teacher with its training points, the student with the last pseudo points, and where they differ.

    Args:
        path: PNG file.
        training: points that the teacher was trained on.
        pseudo: (batch, 2), pseudo points of the last round.
        regions: classes of teacher and student over the square, (side, side) each, row by row from below.
    """
    figure = Figure(figsize=(11, 4.1), dpi=150)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.1, top=0.91, wspace=0.04)
    teacher, student, difference = figure.subplots(1, 3)
    _draw_regions(teacher, "teacher, with its training points", regions[0])
    _draw_regions(student, "student, with its last pseudo points", regions[1])
    _draw_regions(difference, f"disagreement, {1 - agreement_over_square(*regions):.2%}", regions[0] != regions[1])
    difference.get_images()[0].set(cmap=DIFFERENCE_COLOURS, clim=(0, 1))
    for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, strict=True)):
        chosen = training.points[training.labels == label].numpy()
        teacher.scatter(*chosen.T, s=3, color=colour, marker=marker, linewidths=0)
    _draw_pseudo_points(student, pseudo)
    _draw_legend(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


def _draw_regions(axes: Axes, title: str, classes: Tensor) -> AxesImage:
    drawn = axes.imshow(
        classes.numpy(), extent=EXTENT, origin="lower", cmap=REGION_COLOURS, vmin=0, vmax=NUM_CLASSES - 1
    )
    axes.set(title=title, xticks=[], yticks=[], xlim=EXTENT[:2], ylim=EXTENT[2:])
    axes.title.set_fontsize(10)
    return drawn


def _draw_pseudo_points(axes: Axes, points: np.ndarray) -> PathCollection:
    return axes.scatter(*points.T, s=22, facecolor="white", edgecolor="black", linewidths=0.9, zorder=3)


def _draw_legend(figure: Figure) -> None:
    classes = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=f"class {label}")
        for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, strict=True))
    ]
    pseudo = Line2D([], [], linestyle="", marker="o", markerfacecolor="white", color="black", label="pseudo point")
    figure.legend(handles=[*classes, pseudo], loc="lower center", ncols=NUM_CLASSES + 1, frameon=False, fontsize=9)


def agreement_over_square(teacher: Tensor, student: Tensor) -> float:
    """Return the fraction of points, (side, side) each, to which both networks give the same class."""
    return (teacher == student).double().mean().item()
