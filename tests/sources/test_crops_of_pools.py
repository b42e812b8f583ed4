"""All pools crop after padding: what the student sees, and what the teacher judges."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.nayer import Nayer
from started import Run

GENERATOR = f"{Path(__file__).parents[1] / 'contract' / 'small_generator.py'}:make"
SMALL: dict[str, Any] = {"noise_size": 6, "generator": GENERATOR, "student_steps": 20}
POOLS = [
    DeepInversion(making_steps=1, student_steps=20, terms=InversionLossWeights(one_hot=1.0)),
    Fast(**SMALL, making_steps=1, warm_up=0),
    Cmi(**SMALL, making_steps=1),
    Nayer(**SMALL, making_steps=1, warm_up=0, batches_per_round=1),
]


def borders_of(images: Tensor, black: float) -> Tensor:
    """Count the black rows above and below, and the columns left and right of white images, (4, images)."""
    is_black = (images - black).abs() < 1e-6
    rows, columns = is_black.all(dim=(1, 3)), is_black.all(dim=(1, 2))
    return torch.stack(
        [side.long().cumprod(dim=1).sum(dim=1) for line in (rows, columns) for side in (line, line.flip(1))]
    )


@pytest.mark.parametrize("source", POOLS, ids=lambda source: type(source).__name__)
@pytest.mark.parametrize("padding", [1, 3])
def test_crops_of_what_is_drawn_reach_as_far_as_the_padding(source: Any, padding: int) -> None:
    run = Run(replace(source, augmentation="crop", padding=padding))
    pixels = run.state.pool.pixels
    white = pixels.white.expand(8, 1, 8, 8)
    run.state.pool.add(white, run.teacher, run.fabric)
    drawn = torch.cat([batch.inputs for batch in run.source.batches(run.state, run.fabric)])
    assert borders_of(drawn, pixels.black.item()).max(dim=1).values.tolist() == [padding] * 4


@pytest.mark.parametrize("source", POOLS, ids=lambda source: type(source).__name__)
def test_what_is_made_is_judged_as_crops_too(source: Any) -> None:
    """Black lies far below all that the generators of these tests make in one step."""
    run = Run(replace(source, augmentation="crop", padding=2), batch_size=20)
    black = run.state.pool.pixels.black.item()
    seen = run.seen_by_the_teacher()
    run.improve()
    borders = borders_of(seen[0], black).max(dim=1).values
    assert borders.max() == 2
    plain = Run(replace(source, augmentation="none"), batch_size=20)
    seen = plain.seen_by_the_teacher()
    plain.improve()
    assert borders_of(seen[0], black).max() == 0
