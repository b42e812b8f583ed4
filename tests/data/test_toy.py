"""The points of the toy."""

import pytest
import torch

from beliefmatch.data.toy import HOLE_RADIUS, LabelledPoints, draw_toy


def test_the_same_seed_gives_the_same_points() -> None:
    for first, second in zip(draw_toy(3), draw_toy(3), strict=True):
        assert torch.equal(first.points, second.points)
        assert torch.equal(first.labels, second.labels)
    assert not torch.equal(draw_toy(3)[1].points[-300:], draw_toy(4)[1].points[-300:])


def test_most_are_to_train_on_and_no_point_is_in_both_parts() -> None:
    training, held_back = draw_toy(0)
    assert len(training) / (len(training) + len(held_back)) == pytest.approx(0.7, abs=1e-3)
    assert not {tuple(point) for point in training.points.tolist()} & {
        tuple(point) for point in held_back.points.tolist()
    }


@pytest.mark.parametrize("part", draw_toy(0), ids=["training", "held back"])
def test_each_lobe_of_class_0_has_a_pocket_of_another_class(part: LabelledPoints) -> None:
    assert part.points.dtype == torch.float32
    assert part.points.shape == (len(part), 2)
    assert part.labels.unique().tolist() == [0, 1, 2]
    for label, height in ((1, 1.0), (2, -1.0)):
        distance = (part.points - torch.tensor([0.0, height])).norm(dim=1)
        pocket = part.labels[distance < 0.2]
        assert (pocket == label).double().mean() > 0.98
        assert len(pocket) >= 298
        ring = part.labels[(distance > HOLE_RADIUS) & (distance < 0.5)]
        assert (ring == 0).double().mean() > 0.9
        assert distance[part.labels == 0].min() >= HOLE_RADIUS - 1e-6


def test_the_wings_are_classes_1_and_2() -> None:
    training, _ = draw_toy(0)
    for label, side in ((1, -1), (2, 1)):
        wing = training.labels[side * training.points[:, 0] > 1.2]
        assert (wing == label).double().mean() > 0.99
