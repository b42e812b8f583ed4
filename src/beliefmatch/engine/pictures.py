"""Pictures of a run: grids of pseudo images, and learning curves."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from torch import Tensor

from beliefmatch.engine.atomic import write_bytes
from beliefmatch.models.inputs import InputSpec

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


def write_curves(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Plot losses, and confidences and agreement on pseudo batches, against rounds.

    Args:
        path: PNG file.
        rows: lines of metrics.jsonl, at least one.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    losses, beliefs = figure.subplots(1, 2)
    for axes, names, title in (
        (losses, ("student_loss", "generator_loss"), "Losses"),
        (beliefs, ("teacher_confidence", "student_confidence", "pseudo_agreement"), "On pseudo batches"),
    ):
        for name in names:
            points = [(row["round"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.replace("_", " "), linewidth=1.3)
        axes.set(title=title, xlabel="round")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    beliefs.set_ylim(0, 1.02)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
