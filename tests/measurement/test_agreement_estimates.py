"""Each candidate against a slow plain formula, or on a case whose answer is planted."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.measurement.agreement_estimates import (
    batch_norm_distance,
    candidates,
    class_agreements,
    class_frequencies,
    class_shift,
    confidence_gap,
    excess_crop_sensitivity,
    excess_sensitivity,
    relative_class_entropy,
    sure_agreement,
    weighted_agreement,
    weighted_divergence,
)
from beliefmatch.measurement.probe import Probe, ProbeOutputs, ask, make_probe
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.precision import make_fabric
from tiny import VECTOR, make_conv_teacher, make_mlp_student, make_mlp_teacher

COUNT, CLASSES = 60, 4
IMAGE = InputSpec(shape=(1, 8, 8), mean=(0.5,), std=(0.5,))


@pytest.fixture
def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Logits of two networks, and weights whose sum is not 1."""
    random = torch.Generator().manual_seed(0)
    teacher = 3 * torch.randn(COUNT, CLASSES, generator=random)
    return teacher, teacher + torch.randn(COUNT, CLASSES, generator=random), 5 * torch.rand(COUNT, generator=random)


def make_pair(network: nn.Module, spec: InputSpec) -> tuple[Probe, Teacher]:
    teacher = Teacher(network, spec)
    return make_probe(teacher, count=64, fabric=make_fabric("cpu", "32-true"), refining_steps=2), teacher


def test_agreement_is_the_weight_of_what_is_alike(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    teacher, student, weights = drawn
    alike = sum(w for t, s, w in zip(*map(Tensor.tolist, drawn), strict=True) if t.index(max(t)) == s.index(max(s)))
    assert weighted_agreement(teacher, student, weights) == pytest.approx(alike / float(weights.sum()), abs=1e-6)


def test_divergence_is_that_of_probabilities(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    teacher, student, weights = drawn
    first, second = teacher.softmax(1), student.softmax(1)
    each = (first * (first / second).log()).sum(1)
    assert weighted_divergence(*drawn) == pytest.approx(float((weights * each).sum() / weights.sum()), abs=1e-5)


def test_only_inputs_count_of_which_the_teacher_is_sure() -> None:
    teacher = torch.tensor([[9.0, 0.0], [0.1, 0.0], [0.0, 9.0]])
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert sure_agreement(teacher, student, torch.tensor([3.0, 5.0, 1.0])) == pytest.approx(0.75)


def test_a_teacher_that_is_never_sure_counts_by_its_confidence() -> None:
    teacher, student = torch.tensor([[0.4, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    first, second = teacher.softmax(1).amax(1).tolist()
    assert sure_agreement(teacher, student, torch.ones(2)) == pytest.approx(first / (first + second))


def test_agreement_by_class_is_that_of_its_inputs(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    teacher, student, weights = drawn
    for number, value in enumerate(class_agreements(*drawn).tolist()):
        rows = teacher.argmax(1) == number
        assert value == pytest.approx(weighted_agreement(teacher[rows], student[rows], weights[rows]), abs=1e-6)


def test_a_class_without_inputs_has_no_agreement() -> None:
    logits = torch.eye(3)[:2]
    assert class_agreements(logits, logits, torch.ones(2)).isnan().tolist() == [False, False, True]


def test_the_gap_is_positive_where_the_student_is_less_sure() -> None:
    teacher, student = torch.tensor([[math.log(4), 0.0]]), torch.tensor([[0.0, math.log(1.5)]])
    assert confidence_gap(teacher, student, torch.ones(1)) == pytest.approx(0.8 - 0.6, abs=1e-6)


def test_entropy_is_1_of_all_classes_evenly_and_0_of_one() -> None:
    even, one = torch.eye(4), torch.eye(4)[:1].expand(4, 4)
    assert relative_class_entropy(even, torch.ones(4)) == pytest.approx(1)
    assert relative_class_entropy(one, torch.ones(4)) == pytest.approx(0)
    assert relative_class_entropy(torch.eye(4)[:2], torch.ones(2)) == pytest.approx(0.5)


def test_classes_shift_by_half_of_what_differs() -> None:
    teacher, student = torch.eye(4)[[0, 0, 1, 1]], torch.eye(4)[[0, 0, 0, 1]]
    assert class_frequencies(student, torch.ones(4)).tolist() == [0.75, 0.25, 0, 0]
    assert class_shift(teacher, student, torch.ones(4)) == pytest.approx(0.25)


def test_distance_is_0_only_where_weights_balance_the_moments() -> None:
    moments = torch.tensor([[2.0, -2.0], [-1.0, 1.0]])
    assert batch_norm_distance(moments, torch.tensor([1.0, 2.0])) == pytest.approx(0)
    assert batch_norm_distance(moments, torch.tensor([1.0, 1.0])) == pytest.approx(0.5)


def test_sensitivity_counts_what_moves_the_student_alone() -> None:
    still, first, second = (torch.eye(2)[rows] for rows in ([0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]))
    teacher = ProbeOutputs(logits=still, moved_logits=first, cropped_logits=None, moments=None)
    student = ProbeOutputs(logits=still, moved_logits=second, cropped_logits=None, moments=None)
    assert excess_sensitivity(teacher, student, torch.tensor([1.0, 1.0, 2.0, 4.0])) == pytest.approx(0.25)
    assert excess_crop_sensitivity(teacher, student, torch.ones(4)) is None


def test_sensitivity_to_crops_counts_crops_alone() -> None:
    still, first, second = (torch.eye(2)[rows] for rows in ([0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]))
    teacher = ProbeOutputs(logits=still, moved_logits=still, cropped_logits=first, moments=None)
    student = ProbeOutputs(logits=still, moved_logits=1 - still, cropped_logits=second, moments=None)
    assert excess_crop_sensitivity(teacher, student, torch.tensor([1.0, 1.0, 2.0, 4.0])) == pytest.approx(0.25)


def test_a_student_that_is_its_teacher_agrees_in_everything() -> None:
    probe, teacher = make_pair(make_conv_teacher(), IMAGE)
    found = candidates(probe, ask(teacher, probe.inputs, probe.moved, probe.cropped))
    assert all(value == pytest.approx(1) for name, value in found.items() if name.startswith("agreement"))
    for name in ("divergence", "class_shift", "confidence_gap", "sensitivity", "crop_sensitivity"):
        assert found[f"{name}_balanced"] == pytest.approx(0, abs=1e-6)
        assert found[f"{name}_entropy"] == pytest.approx(0, abs=1e-6)
    assert found["distance_student_layers_entropy"] == found["distance_teacher_layers_entropy"]


def test_shuffled_answers_agree_about_by_chance() -> None:
    probe, teacher = make_pair(make_mlp_teacher(), VECTOR)
    own = ask(teacher, probe.inputs, probe.moved, probe.cropped)
    order = torch.randperm(len(probe.inputs), generator=torch.Generator().manual_seed(1))
    shuffled = ProbeOutputs(
        logits=own.logits[order], moved_logits=own.moved_logits[order], cropped_logits=None, moments=None
    )
    classes, weights = own.logits.argmax(1), probe.weights["balanced"]
    frequencies = class_frequencies(own.logits, torch.ones(len(classes)))
    chance = float(weights @ frequencies[classes])
    found = candidates(probe, shuffled)["agreement_balanced"]
    assert found is not None
    assert found == pytest.approx(chance, abs=4 / math.sqrt(len(classes)) * 0.5)


def test_a_teacher_without_batch_norm_has_balance_alone() -> None:
    probe, _ = make_pair(make_mlp_teacher(), VECTOR)
    student = Teacher(make_mlp_student(), VECTOR)
    found = candidates(probe, ask(student, probe.inputs, probe.moved, probe.cropped))
    missing = {name for name, value in found.items() if value is None}
    assert all(found[name] is None for name in found if name.endswith("_entropy") and name != "teacher_class_entropy")
    assert {"agreement_on_curves", "agreement_on_refined", "crop_sensitivity_balanced"} <= missing
    assert "distance_student_layers_balanced" in missing
    assert found["agreement_balanced"] is not None


def test_a_lost_class_is_seen_in_the_worst_class_and_in_the_entropy() -> None:
    probe, teacher = make_pair(make_conv_teacher(), IMAGE)
    broken = copy.deepcopy(teacher.module)
    lost = int(probe.teacher.logits.argmax(1).bincount().argmax())
    with torch.no_grad():
        broken[-1].bias[lost] = -100  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue]
    found = candidates(probe, ask(Teacher(broken, IMAGE), probe.inputs, probe.moved, probe.cropped))
    whole = candidates(probe, ask(teacher, probe.inputs, probe.moved, probe.cropped))
    assert found["agreement_worst_class_balanced"] == 0
    assert (found["student_class_entropy_balanced"] or 0) < (whole["student_class_entropy_balanced"] or 0)


def test_what_goes_wrong_on_one_family_is_seen_on_it_alone() -> None:
    probe, teacher = make_pair(make_conv_teacher(), IMAGE)
    own = ask(teacher, probe.inputs, probe.moved, probe.cropped)
    logits = torch.where(probe.families["leaves"][:, None], own.logits.roll(1, dims=1), own.logits)
    found = candidates(probe, replace(own, logits=logits))
    assert found["agreement_on_leaves"] == found["agreement_worst_family"] == 0
    for name in ("agreement_without_leaves", "agreement_on_areas"):
        assert found[name] == pytest.approx(1)
    assert (found["agreement_without_areas"] or 0) < 0.99
