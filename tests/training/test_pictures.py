"""Pictures of a run."""

from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.image import imread

from beliefmatch.runs.schema.row import Row
from beliefmatch.training.pictures import write_curves


def curve_rows(loss: float) -> list[Row]:
    values = {"student_loss": loss, "teacher_confidence": 0.9, "student_confidence": 0.5, "batch_agreement": 0.7}
    return [cast("Row", {"round": number, **values, "student_loss": loss / number}) for number in range(1, 6)]


def test_learning_curves_are_drawn(tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    write_curves(first, curve_rows(1.0))
    write_curves(second, [{**row, "generator_loss": 2.0} for row in curve_rows(1.0)])
    one, other = imread(first), imread(second)
    assert one.shape == other.shape == (480, 1350, 4)
    # Four colours of lines besides white, black and greys; one more line changes the picture of the losses alone.
    colours = {tuple(pixel) for pixel in (255 * one[..., :3]).round().astype(int).reshape(-1, 3)}
    assert sum(max(colour) - min(colour) > 100 for colour in colours) > 3
    differs = (one != other).any(axis=2)
    assert differs[:, :675].any()
    assert not differs[:, 700:].any()
    assert not np.isnan(one).any()
