"""The frozen teacher."""

import pytest
import torch
from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.teacher import Teacher
from tiny import make_conv_teacher, make_mlp_teacher, make_nan_teacher


def test_it_is_frozen_and_knows_its_classes() -> None:
    teacher = Teacher(make_conv_teacher(), DIGITS)
    assert not teacher.module.training
    assert not any(parameter.requires_grad for parameter in teacher.module.parameters())
    assert teacher.num_classes == 10
    assert list(teacher.batch_norms) == ["1"]


def test_gradients_flow_to_its_inputs() -> None:
    batch = torch.randn(2, 1, 8, 8, requires_grad=True)
    Teacher(make_conv_teacher(), DIGITS).outputs(batch).logits.sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0


def test_without_batch_norm_there_is_no_gap() -> None:
    teacher = Teacher(make_mlp_teacher(), InputSpec(shape=(12,)))
    read = teacher.outputs(torch.randn(4, 12), tap_batch_norms=True)
    assert teacher.statistics_gap(read) == 0


def test_wrong_shape_and_broken_weights_are_named() -> None:
    with pytest.raises(NetworkError, match=r"the teacher does not take inputs of shape \(3, 8, 8\)"):
        Teacher(make_conv_teacher(), InputSpec(shape=(3, 8, 8)))
    with pytest.raises(NetworkError, match="not finite"):
        Teacher(make_nan_teacher(), DIGITS)


def test_probabilities_are_turned_into_logits() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    teacher = Teacher(nn.Sequential(*plain, nn.Softmax(dim=1)), InputSpec(shape=(12,)))
    batch = torch.randn(3, 12)
    torch.testing.assert_close(teacher.outputs(batch).logits.softmax(dim=1), plain(batch).softmax(dim=1))
    assert not torch.allclose(teacher.outputs(batch).logits.sum(dim=1), torch.ones(3))
