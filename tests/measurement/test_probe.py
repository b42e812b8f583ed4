"""A probe holds every family, weighs them as training does, and is made of nothing but its teacher and a seed."""

import pytest
import torch
from torch.nn.functional import interpolate

from beliefmatch.functional.maximum_entropy import effective_sample_size
from beliefmatch.measurement.agreement_estimates import batch_norm_distance, class_frequencies
from beliefmatch.measurement.probe import MIN_EFFECTIVE, NUDGE, Probe, make_probe
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.precision import make_fabric
from tiny import VECTOR, make_conv_teacher, make_mlp_teacher

IMAGE = InputSpec(shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
COUNT = 300
"""Of each family: more than are made at a time, and no multiple of it."""


@pytest.fixture(scope="module")
def probe() -> Probe:
    fabric = make_fabric("cpu", "32-true")
    return make_probe(Teacher(make_conv_teacher(), IMAGE), count=COUNT, fabric=fabric, refining_steps=2)


def test_every_family_has_its_count(probe: Probe) -> None:
    assert list(probe.families) == ["leaves", "areas", "curves", "refined"]
    assert [int(rows.sum()) for rows in probe.families.values()] == 4 * [COUNT]
    assert torch.stack(list(probe.families.values())).sum(dim=0).eq(1).all()


def test_no_input_is_there_twice(probe: Probe) -> None:
    assert len(probe.inputs.flatten(1).unique(dim=0)) == len(probe.inputs) == 4 * COUNT


def test_weights_sum_to_1_and_balance_the_classes_of_the_teacher(probe: Probe) -> None:
    assert all(float(each.sum()) == pytest.approx(1, abs=1e-5) for each in probe.weights.values())
    counts = probe.teacher.logits.argmax(1).bincount(minlength=10)
    frequent = counts > 0.005 * len(probe.inputs)
    weights = class_frequencies(probe.teacher.logits, probe.weights["balanced"])[frequent]
    assert weights.max() == pytest.approx(float(weights.min()), rel=1e-4)


def test_weights_of_maximum_entropy_come_nearer_to_what_is_remembered(probe: Probe) -> None:
    moments = probe.teacher.moments
    assert moments is not None
    nearer, even = (batch_norm_distance(moments, probe.weights[kind]) for kind in ("entropy", "balanced"))
    assert nearer < 0.95 * even
    assert float(effective_sample_size(probe.weights["entropy"])) >= 0.99 * MIN_EFFECTIVE * len(probe.inputs)


def test_a_family_held_out_has_no_weight(probe: Probe) -> None:
    for name, weights in probe.weights_without.items():
        assert float(weights[probe.families[name]].abs().sum()) == 0
        assert float(weights.sum()) == pytest.approx(1, abs=1e-5)


def test_images_move_by_one_pixel(probe: Probe) -> None:
    inner = probe.inputs[:, :, 1:-1, 1:-1]
    moved = torch.stack([probe.moved[:, :, 1 + down : 7 + down, 1 + right : 7 + right]
                         for down in (-1, 0, 1) for right in (-1, 0, 1)])  # fmt: skip
    found = (moved == inner).flatten(2).all(dim=2)
    assert found.any(dim=0).all()
    assert found[4].float().mean() < 0.1, "only an image without any detail may stay where it is"


def test_crops_are_windows_of_seven_eighths_of_their_image_from_every_place(probe: Probe) -> None:
    windows = torch.stack([probe.inputs[:, :, down : 7 + down, right : 7 + right]
                           for down in (0, 1) for right in (0, 1)])  # fmt: skip
    wanted = torch.stack([interpolate(each, size=(8, 8), mode="bilinear") for each in windows])
    assert probe.cropped is not None
    found = (probe.cropped - wanted).abs().flatten(2).amax(dim=2) < 1e-5
    assert found.any(dim=0).all()
    assert (found.float().mean(dim=1) > 0.15).all()
    assert probe.teacher.cropped_logits is not None
    assert not torch.equal(probe.teacher.cropped_logits, probe.teacher.logits)


def test_vectors_move_by_noise_and_have_two_families() -> None:
    probe = make_probe(Teacher(make_mlp_teacher(), VECTOR), count=COUNT, fabric=make_fabric("cpu", "32-true"))
    assert list(probe.families) == ["leaves", "areas"]
    assert list(probe.weights) == ["balanced"]
    assert probe.cropped is probe.teacher.cropped_logits is None
    assert float((probe.moved - probe.inputs).std()) == pytest.approx(NUDGE, rel=0.1)


def test_the_seed_decides_about_everything() -> None:
    fabric = make_fabric("cpu", "32-true")
    first, again, other = (
        make_probe(Teacher(make_mlp_teacher(), VECTOR), count=20, fabric=fabric, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.moved, again.moved)
    assert not torch.equal(first.inputs, other.inputs)
