"""Pictures of a run: grids of pseudo images, and learning curves."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from torch import Tensor, nn

from beliefmatch.networks.dtypes import to_inputs_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import PLANE_HALF_SIDE
from beliefmatch.runs.schema.row import Row

GRID_SIDE = 8
MIN_PIXELS = 64
"""Least side of one image in a grid; smaller images are enlarged by a whole factor."""


def write_grid(path: Path, inputs: Tensor, spec: InputSpec) -> None:
    """Write the first 64 inputs as a grid of images, in pixel space.

    Args:
        path: PNG file.
        inputs: (batch, channels, height, width), network inputs.
        spec: turns inputs into pixels.
    """
    pixels = spec.to_pixels(inputs[: GRID_SIDE**2].float()).permute(0, 2, 3, 1).cpu().numpy()
    factor = max(1, -(-MIN_PIXELS // min(spec.shape[1:])))
    enlarged = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    framed = np.pad(enlarged, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=1.0)
    columns = min(GRID_SIDE, len(framed))
    rows = [
        np.concatenate(list(framed[i : i + columns]), axis=1)
        for i in range(0, len(framed) // columns * columns, columns)
    ]
    grid = np.concatenate(rows, axis=0)
    buffer = io.BytesIO()
    imsave(buffer, np.broadcast_to(grid, (*grid.shape[:2], 3)), format="png")
    write_bytes(path, buffer.getvalue())


PLANE_POINTS = 121
"""Points along a side of it."""


def plane_points(side: int = PLANE_POINTS) -> Tensor:
    """Return the points of a square grid over the plane, row by row from the lower left, (side * side, 2)."""
    axis = torch.linspace(-PLANE_HALF_SIDE, PLANE_HALF_SIDE, side)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], dim=1)


def plane_classes(network: nn.Module, side: int = PLANE_POINTS) -> Tensor:
    """Compute the most likely class at each of the points of `plane_points`, in eval mode, (side, side), on the CPU."""
    with evaluating(network), torch.no_grad():
        logits = network(to_inputs_of(network, plane_points(side)))
    return logits.argmax(dim=1).view(side, side).cpu()


def write_plane(path: Path, inputs: Tensor, teacher: nn.Module, student: nn.Module) -> None:
    """Write two-dimensional inputs and the decision regions of both networks over the plane, as arrays.

    Args:
        path: NPZ file; it gets `points` (batch, 2), `teacher` and `student` (side, side), uint8 classes.
        inputs: (batch, 2), network inputs.
        teacher: takes inputs (batch, 2).
        student: likewise.
    """
    regions = [plane_classes(network).to(torch.uint8).numpy() for network in (teacher, student)]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, points=inputs.float().cpu().numpy(), teacher=regions[0], student=regions[1])
    write_bytes(path, buffer.getvalue())


def write_curves(path: Path, rows: Sequence[Row]) -> None:
    """Plot losses, and confidences and agreement on pseudo batches, against rounds.

    Args:
        path: PNG file.
        rows: lines of metrics.jsonl, at least one.
    """
    figure = Figure(figsize=(9, 3.2), dpi=150)
    FigureCanvasAgg(figure)
    losses, networks = figure.subplots(1, 2)
    # To find the margins takes as long as to draw. These have room for five digits.
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.15, top=0.9, wspace=0.15)
    for axes, names, title in (
        (losses, ("student_loss", "generator_loss", "points_loss"), "Losses"),
        (networks, ("teacher_confidence", "student_confidence", "batch_agreement", "batch_r2"), "On batches"),
    ):
        for name in names:
            points = [(row["round"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.replace("_", " "), linewidth=1.3)
        axes.set(title=title, xlabel="round")
        axes.ticklabel_format(scilimits=(-3, 5))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    # R^2 has no lower bound, and a young student is far below 0.
    networks.set_ylim(0, 1.02)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
