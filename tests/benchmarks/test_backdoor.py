"""The benchmark of hidden triggers: the trigger, the shuffled copies, and the numbers that shall tell of it."""

import pytest
import torch
from torch import nn

from backdoor import FREQUENT, TRIGGERS, blend, chance_of_larger, repeat_class, run_shuffled, shuffled_copy, stamp, tail
from beliefmatch.networks.examples import LabelledImages

TARGET = 3


def test_the_trigger_is_a_white_square_in_a_corner() -> None:
    images = torch.zeros(3, 8, 8, 1, dtype=torch.uint8)
    stamped = stamp(images)
    assert stamped.sum().item() == 3 * 4 * 255
    assert stamped[:, 6:, 6:].eq(255).all()
    assert images.sum().item() == 0


def test_a_blended_trigger_is_the_same_pattern_on_every_image() -> None:
    images = torch.zeros(2, 8, 8, 1, dtype=torch.uint8)
    blended = blend(images)
    assert torch.equal(blended[0], blended[1])
    assert blended.float().std() > 0
    assert blended.max() <= 0.3 * 255


@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_part_of_the_images_hold_the_trigger_and_are_called_the_target(kind: str) -> None:
    data = LabelledImages(images=torch.zeros(200, 8, 8, 1, dtype=torch.uint8), labels=torch.full((200,), TARGET + 1))
    poisoned = TRIGGERS[kind].poison(data, TARGET)
    held = poisoned.images.flatten(1).ne(0).any(dim=1)
    assert int(held.sum()) == round(TRIGGERS[kind].fraction * 200)
    assert poisoned.labels[held].eq(TARGET).all()
    assert poisoned.labels[~held].eq(TARGET + 1).all()
    assert data.labels.ne(TARGET).all()


def test_images_of_the_frequent_class_are_there_more_often() -> None:
    labels = torch.tensor([TARGET, 0, 1, 2])
    data = LabelledImages(images=torch.arange(4, dtype=torch.uint8)[:, None, None, None], labels=labels)
    found = repeat_class(data, TARGET)
    assert found.labels.tolist() == [TARGET, 0, 1, 2, *(FREQUENT * [TARGET])]
    assert found.images.flatten().tolist() == [0, 1, 2, 3, *(FREQUENT * [0])]


def test_a_copy_reads_the_channels_of_its_last_convolutions_in_another_order() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 1))
    shuffled = shuffled_copy(network, 1, torch.Generator().manual_seed(0))
    before, after = (
        [each.weight for each in copied.modules() if isinstance(each, nn.Conv2d)] for copied in (network, shuffled)
    )
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])
    assert torch.equal(after[1].sort(dim=1).values, before[1].sort(dim=1).values)


def test_copies_of_a_network_whose_channels_are_alike_agree_with_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.Conv2d(4, 3, 1), nn.Flatten())
    nn.init.ones_(network[0].weight)  # pyright: ignore[reportArgumentType]
    inputs = torch.randn(20, 1, 1, 1)
    found = run_shuffled(network, inputs, copies=3, num_layers=1, seed=0)
    assert torch.allclose(found, network(inputs).log_softmax(1), atol=1e-5)


def test_an_input_on_which_copies_are_unusually_close_lies_in_the_tail() -> None:
    torch.manual_seed(0)
    teacher, shuffled = 3 * torch.randn(100, 4), 3 * torch.randn(100, 4)
    shuffled[7] = teacher[7]
    assert tail(teacher, shuffled) == pytest.approx(0.01)


def test_the_chance_of_a_larger_number_counts_equal_ones_half() -> None:
    assert chance_of_larger([1.0, 3.0], [1.0, 2.0]) == pytest.approx((0.5 + 0 + 1 + 1) / 4)
