"""Transition curves."""

import pytest
import torch

from beliefmatch.errors import ExamplesError
from beliefmatch.measurement.predictions import predict
from beliefmatch.measurement.transition import (
    Guide,
    TransitionCurves,
    TransitionPlan,
    bytes_per_example,
    choose,
    measure_transition,
    transition_curves,
)
from beliefmatch.networks.examples import examples_of
from beliefmatch.networks.inputs import InputSpec
from reference.slow_transition import slow_transition_curves
from tiny import make_conv_teacher, make_mlp_student, make_mlp_teacher


def some(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("memory_budget", [1, 20_000, 2**30])
def test_batched_equals_one_at_a_time_within_any_budget(memory_budget: int) -> None:
    guide, follower = make_mlp_student().double(), make_mlp_teacher().double()
    images, labels = some(4, 12), torch.tensor([3, 0, 9, 5])
    fast = transition_curves(guide, follower, images, labels, num_steps=5, memory_budget=memory_budget)
    slow = slow_transition_curves(guide, follower, images, labels, num_steps=5)
    torch.testing.assert_close(fast.guide, slow[0])
    torch.testing.assert_close(fast.follower, slow[1])


def test_who_guides_matters_and_the_guide_gains_the_class_it_seeks() -> None:
    first, second = make_mlp_student().double(), make_mlp_teacher().double()
    images, labels = some(6, 12), torch.arange(6)
    forth = transition_curves(first, second, images, labels, num_steps=30)
    back = transition_curves(second, first, images, labels, num_steps=30, guided_by="teacher")
    assert (forth.guide[..., -1] > forth.guide[..., 0]).all()
    assert forth.error != pytest.approx(back.error, rel=1e-3)
    assert back.guided_by == "teacher"


def test_a_network_follows_itself_without_error() -> None:
    network = make_conv_teacher()
    found = transition_curves(network, network, some(3, 1, 8, 8).float(), torch.zeros(3).long(), num_steps=4)
    assert found.error == 0
    assert found.guide.shape == (3, 9, 4)


def test_the_error_and_its_interval() -> None:
    guide = torch.zeros(4, 2, 3)
    follower = torch.tensor([0.1, 0.2, 0.3, 0.4])[:, None, None].expand(4, 2, 3)
    found = TransitionCurves(guided_by="student", guide=guide, follower=follower)
    assert found.error == pytest.approx(0.25)
    margin = 2 * torch.tensor([0.1, 0.2, 0.3, 0.4]).std().item() / 2
    assert found.error_interval == pytest.approx((0.25 - margin, 0.25 + margin))
    torch.testing.assert_close(found.mean_curves()[1], torch.full((3,), 0.25))
    torch.testing.assert_close(found.two_standard_errors()[1], torch.full((3,), margin))


def test_the_interval_of_an_error_stays_between_0_and_1() -> None:
    for first, second in ((0.0, 0.1), (1.0, 0.9)):
        follower = torch.tensor([first, second])[:, None, None].expand(2, 2, 3)
        found = TransitionCurves(guided_by="student", guide=torch.zeros(2, 2, 3), follower=follower)
        low, high = found.error_interval
        assert 0 <= low <= found.error <= high <= 1
        assert {low, high} & {0.0, 1.0}


def test_agreeing_examples_are_chosen_by_the_seed_and_do_agree() -> None:
    guide, follower = make_mlp_student(), make_mlp_teacher()
    images = some(400, 12).float()
    predictions = predict(follower, guide, InputSpec(shape=(12,)), examples_of(images), batch_size=150)
    chosen = choose(predictions.alike, num_examples=10, seed=0)
    classes = predictions.teacher_class[chosen]
    assert torch.equal(guide(images[chosen]).argmax(1), classes)
    assert torch.equal(follower(images[chosen]).argmax(1), classes)
    assert torch.equal(choose(predictions.alike, num_examples=10, seed=0), chosen)
    assert not torch.equal(choose(predictions.alike, num_examples=10, seed=1), chosen)


def test_too_few_agreeing_examples_are_counted() -> None:
    with pytest.raises(ExamplesError, match=r"5000 examples .* were asked for; there are \d+"):
        measure_transition(
            make_mlp_teacher(),
            make_mlp_student(),
            InputSpec(shape=(12,)),
            some(40, 12).float(),
            TransitionPlan(num_images=5000),
        )


@pytest.mark.parametrize("guided_by", ["student", "teacher"])
def test_a_measurement_walks_the_chosen_examples_from_the_class_both_give(guided_by: Guide) -> None:
    teacher, student, images = make_mlp_teacher(), make_mlp_student(), some(400, 12).float()
    alike = (teacher(images).argmax(1) == student(images).argmax(1)).nonzero().squeeze(1)
    chosen = alike[torch.randperm(len(alike), generator=torch.Generator().manual_seed(3))[:7]]
    networks = (student, teacher) if guided_by == "student" else (teacher, student)
    expected = transition_curves(*networks, images[chosen], teacher(images[chosen]).argmax(1), num_steps=4)
    plan = TransitionPlan(num_images=7, num_steps=4, seed=3, guided_by=guided_by, memory_budget=20_000)
    found = measure_transition(teacher, student, InputSpec(shape=(12,)), images, plan)
    assert found.guided_by == guided_by
    torch.testing.assert_close(found.guide, expected.guide)
    torch.testing.assert_close(found.follower, expected.follower)


def test_memory_is_counted_by_what_autograd_keeps() -> None:
    small, large = bytes_per_example(make_mlp_student(), some(1, 12).float()), 0
    large = bytes_per_example(make_conv_teacher(), some(1, 1, 8, 8).float())
    assert 0 < small < large < 10**6
