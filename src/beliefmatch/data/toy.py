"""The toy points of Micaelli & Storkey 2019: three classes in the plane, two of them with a pocket inside the third."""

from dataclasses import dataclass

import torch
from torch import Tensor

NUM_DRAWN = 1000
"""Points drawn from each of the six Gaussians, before the holes are cut."""
TRAINING_FRACTION = 0.7
HOLE_RADIUS = 0.3
POCKET_STD = HOLE_RADIUS / 5

CLOUDS: tuple[tuple[int, tuple[float, float], tuple[float, float]], ...] = (
    (0, (0.0, 1.0), (0.3, 0.4)),
    (0, (0.0, -1.0), (0.3, 0.4)),
    (1, (-1.0, 0.0), (0.4, 0.3)),
    (1, (0.0, 1.0), (POCKET_STD, POCKET_STD)),
    (2, (1.0, 0.0), (0.4, 0.3)),
    (2, (0.0, -1.0), (POCKET_STD, POCKET_STD)),
)
"""Class, mean and standard deviation of each Gaussian. The pockets lie in the holes of class 0's two lobes."""


@dataclass(frozen=True, kw_only=True)
class LabelledPoints:
    """Points of the plane with their classes."""

    points: Tensor
    """(points, 2), float32."""
    labels: Tensor
    """(points,), int64, from 0."""

    def __len__(self) -> int:
        return len(self.labels)


def draw_toy(seed: int) -> tuple[LabelledPoints, LabelledPoints]:
    """Draw the toy's points and split them.

    As in the paper's notebook, each of six Gaussians gives 1000 points; those of class 0 that fall into its holes are
    dropped, which leaves about 5,360; and 70 % of what each Gaussian gives are for training.

    Args:
        seed: of the points.

    Returns:
        Points to train on and points to measure on, about 3,750 and 1,610.
    """
    random = torch.Generator().manual_seed(seed)
    drawn = [_draw_cloud(*cloud, random) for cloud in CLOUDS]
    cuts = [round(TRAINING_FRACTION * len(cloud)) for cloud in drawn]
    return (
        _join([(cloud.points[:cut], cloud.labels[:cut]) for cloud, cut in zip(drawn, cuts, strict=True)]),
        _join([(cloud.points[cut:], cloud.labels[cut:]) for cloud, cut in zip(drawn, cuts, strict=True)]),
    )


def _draw_cloud(
    label: int, mean: tuple[float, float], std: tuple[float, float], random: torch.Generator
) -> LabelledPoints:
    offsets = torch.randn(NUM_DRAWN, 2, generator=random) * torch.tensor(std)
    if label == 0:
        offsets = offsets[offsets.norm(dim=1) >= HOLE_RADIUS]
    return LabelledPoints(points=torch.tensor(mean) + offsets, labels=torch.full((len(offsets),), label))


def _join(parts: list[tuple[Tensor, Tensor]]) -> LabelledPoints:
    points, labels = zip(*parts, strict=True)
    return LabelledPoints(points=torch.cat(points), labels=torch.cat(labels))
