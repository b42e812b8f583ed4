"""The toy: train a teacher in the plane, match it without its points, measure agreement over a square, film the way."""

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from beliefmatch.data.toy import LabelledPoints, draw_toy
from beliefmatch.errors import FolderError
from beliefmatch.functional.classification import correct
from beliefmatch.measurement.run import load_pair
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes.toy import ARCHITECTURE, GENERATOR_ROUNDS, NUM_ROUNDS, toy, toy_generator
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import PLANE_HALF_SIDE, TEACHER_FILE
from beliefmatch.studies.own_teacher import make_own_teacher
from beliefmatch.training.options import RunOptions
from beliefmatch.training.pictures import plane_classes
from beliefmatch.training.run import Observer, run
from beliefmatch.training.run_folder import RunFolder
from beliefmatch.training.transfer import Transfer

ANIMATION_FILE = "toy.gif"
STILL_FILE = "toy.png"

NUM_CLASSES = 3
NUM_EPOCHS = 30
LEARNING_RATE = 1e-3
BATCH_SIZE = 50

MEASURED_SIDE = 301
"""Points along a side of the square over which agreement is measured."""
NUM_FRAMES = 40

Through = Literal["free_points", "generator"]
RECIPES: dict[Through, tuple[Callable[..., Transfer], int]] = {
    "free_points": (toy, NUM_ROUNDS),
    "generator": (toy_generator, GENERATOR_ROUNDS),
}


@dataclass(frozen=True, kw_only=True)
class ToyResult:
    """What the toy found. Fractions in [0, 1]."""

    teacher_accuracy: float
    """On points of the same kind that the teacher was not trained on."""
    student_accuracy: float
    agreement: float
    """Fraction of the square [-3, 3]^2 to which both networks give the same class."""
    teacher_seconds: float
    """Time to train the teacher; 0 where a resumed toy found it trained."""


def num_rounds(through: Through) -> int:
    """Rounds that the toy takes if no one says otherwise."""
    return RECIPES[through][1]


def run_toy(
    options: RunOptions,
    *,
    seed: int,
    rounds: int | None = None,
    through: Through = "free_points",
    observer: Observer | None = None,
) -> ToyResult:
    """Run the toy in a folder, or continue it there, and draw `toy.gif` and `toy.png`.

    The points are drawn before the transfer to train the teacher, and after it to measure. Between, nothing holds them.

    Args:
        options: where, and on what. Unless it says otherwise, it takes a picture for each of 40 frames.
        seed: of the points, of fresh weights and of all noise.
        rounds: of the transfer, instead of the recipe's.
        through: where the pseudo points come from.
        observer: follows the transfer.

    Raises:
        BeliefMatchError: see `training.run.run`.
    """
    folder = RunFolder(options.folder)
    recipe, usual_rounds = RECIPES[through]
    network = Network(architecture=ARCHITECTURE, weights=folder.path / TEACHER_FILE, num_classes=NUM_CLASSES)
    transfer = recipe(teacher=network, seed=seed, rounds=usual_rounds if rounds is None else rounds)
    teacher_seconds = make_own_teacher(
        folder, lambda: train_teacher(draw_toy(seed)[0]), seed=seed, resume=options.resume
    )
    picture_every = options.picture_every or max(transfer.rounds // NUM_FRAMES, 1)
    # Points of the plane lie too close for 16 bits, and networks this small gain nothing by them.
    precision = "32-true" if options.precision == "auto" else options.precision
    options = replace(options, picture_every=picture_every, precision=precision)
    run(transfer, options, observer=observer, may_hold=(TEACHER_FILE,))
    return _measure(folder, seed, teacher_seconds=teacher_seconds, with_trails=through == "free_points")


def train_teacher(data: LabelledPoints) -> nn.Module:
    """Train the paper's multi-layer perceptron on labelled points, with the settings of its notebook; seconds."""
    network = make_network(ARCHITECTURE, in_channels=2, num_classes=NUM_CLASSES)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    for _ in range(NUM_EPOCHS):
        for chosen in torch.randperm(len(data)).split(BATCH_SIZE):
            cross_entropy(network(data.points[chosen]), data.labels[chosen]).backward()
            optimiser.step()
            optimiser.zero_grad()
    return network


def _measure(folder: RunFolder, seed: int, *, teacher_seconds: float, with_trails: bool) -> ToyResult:
    """Measure both networks, enter the numbers into result.json, and draw."""
    teacher, student = load_pair(folder, trust_code=())
    training, held_back = draw_toy(seed)
    regions = [plane_classes(network, MEASURED_SIDE) for network in (teacher.module, student)]
    found = ToyResult(
        teacher_accuracy=_accuracy(teacher.module, held_back),
        student_accuracy=_accuracy(student, held_back),
        agreement=_agreement(*regions),
        teacher_seconds=teacher_seconds,
    )
    numbers = {name: getattr(found, name) for name in ("teacher_accuracy", "student_accuracy", "agreement")}
    folder.write_result(replace(folder.read_result(), **numbers))
    snapshots = _read_snapshots(folder)
    write_animation(folder.path / ANIMATION_FILE, snapshots, with_trails=with_trails)
    write_still(folder.path / STILL_FILE, training, snapshots[-1].points, regions)
    return found


def _accuracy(network: nn.Module, data: LabelledPoints) -> float:
    with torch.no_grad():
        return correct(network(data.points), data.labels).double().mean().item()


def _agreement(teacher: Tensor, student: Tensor) -> float:
    return (teacher == student).double().mean().item()


CLASS_COLOURS = ("#E69F00", "#56B4E9", "#009E73")
"""Told apart by colour-blind people too: Okabe & Ito 2008."""
REGION_COLOURS = ListedColormap(["#F7DDA6", "#C4E4F7", "#A6DBCB"])
"""The same, paler."""
CLASS_MARKERS = ("s", "o", "^")
DIFFERENCE_COLOURS = ListedColormap(["#EDEDED", "#A3005C"])
FRAMES_A_SECOND = 6
LAST_FRAME_SECONDS = 3
EXTENT = (-PLANE_HALF_SIDE, PLANE_HALF_SIDE, -PLANE_HALF_SIDE, PLANE_HALF_SIDE)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A moment of the run."""

    round: int
    points: np.ndarray
    """(batch, 2), pseudo points."""
    teacher: Tensor
    """(side, side), the teacher's classes over the square, row by row from below."""
    student: Tensor

    @staticmethod
    def read(path: Path) -> "Snapshot":
        """Read what `training.pictures.write_plane` wrote."""
        with np.load(path) as file:
            regions = {name: torch.from_numpy(file[name]) for name in ("teacher", "student")}
            return Snapshot(round=int(path.stem.removeprefix("round_")), points=file["points"], **regions)


def _read_snapshots(folder: RunFolder) -> list[Snapshot]:
    paths = sorted(folder.pseudo.glob("round_*.npz"))
    if not paths:
        raise FolderError(f"{folder.pseudo} holds no snapshots to draw: run the toy anew in another --folder")
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
    stage = _set_stage(figure, snapshots[0])
    writer = PillowWriter(fps=FRAMES_A_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / path.name
        writer.setup(figure, film, dpi=90)
        for before, now in zip([None, *snapshots], snapshots, strict=False):
            agreement = _agreement(now.teacher, now.student)
            figure.suptitle(f"round {now.round:,} of {snapshots[-1].round:,}, agreement {agreement:.1%}", y=0.99)
            for actors in stage:
                actors.play(now, before.points if before and with_trails else None)
            writer.grab_frame()
        for _ in range(LAST_FRAME_SECONDS * FRAMES_A_SECOND):
            writer.grab_frame()
        writer.finish()
        write_bytes(path, film.read_bytes())


@dataclass(frozen=True, kw_only=True)
class _Actors:
    """What moves in one square of the film; everything else is drawn once."""

    role: Literal["teacher", "student"]
    regions: AxesImage
    trails: LineCollection
    points: PathCollection

    def play(self, now: Snapshot, before: np.ndarray | None) -> None:
        """Move everything to a snapshot, with trails from the points before it."""
        self.regions.set_data(getattr(now, self.role).numpy())
        self.trails.set_segments([] if before is None else list(np.stack([before, now.points], axis=1)))
        self.points.set_offsets(now.points)


def _set_stage(figure: Figure, first: Snapshot) -> list[_Actors]:
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
        _Actors(
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
        training: what the teacher saw.
        pseudo: (batch, 2), what the student saw last.
        regions: classes of teacher and student over the square, (side, side) each, row by row from below.
    """
    figure = Figure(figsize=(11, 4.1), dpi=150)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.1, top=0.91, wspace=0.04)
    teacher, student, difference = figure.subplots(1, 3)
    _draw_regions(teacher, "teacher, with its training points", regions[0])
    _draw_regions(student, "student, with its last pseudo points", regions[1])
    _draw_regions(difference, f"disagreement, {1 - _agreement(*regions):.2%}", regions[0] != regions[1])
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
