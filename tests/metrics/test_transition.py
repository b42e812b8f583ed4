"""Transition curves."""

import pytest
import torch
from slow_transition import slow_transition_curves

from beliefmatch.errors import ExamplesError
from beliefmatch.metrics.transition import TransitionCurves, agreeing_examples, bytes_per_example, transition_curves
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


def test_agreeing_examples_are_chosen_by_the_seed_and_do_agree() -> None:
    guide, follower = make_mlp_student(), make_mlp_teacher()
    images = some(400, 12).float()
    chosen, classes = agreeing_examples(guide, follower, images, num_examples=10)
    assert torch.equal(guide(images[chosen]).argmax(1), classes)
    assert torch.equal(follower(images[chosen]).argmax(1), classes)
    assert torch.equal(agreeing_examples(guide, follower, images, num_examples=10)[0], chosen)
    assert not torch.equal(agreeing_examples(guide, follower, images, num_examples=10, seed=1)[0], chosen)


def test_too_few_agreeing_examples_are_counted() -> None:
    with pytest.raises(ExamplesError, match=r"5000 examples .* were asked for; there are \d+"):
        agreeing_examples(make_mlp_student(), make_mlp_teacher(), some(40, 12).float(), num_examples=5000)


def test_memory_is_counted_by_what_autograd_keeps() -> None:
    small, large = bytes_per_example(make_mlp_student(), some(1, 12).float()), 0
    large = bytes_per_example(make_conv_teacher(), some(1, 1, 8, 8).float())
    assert 0 < small < large < 10**6
