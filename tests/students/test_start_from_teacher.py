import copy

import pytest
import torch
from torch import nn

from beliefmatch.networks.loading.network import make_network
from beliefmatch.students.start_from_teacher import select_weights, start_from_teacher


def pair(larger: str, smaller: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    networks = [make_network(name, in_channels=1, num_classes=10) for name in (larger, smaller)]
    return networks[0], networks[1]


def test_a_narrower_network_gets_the_first_channels() -> None:
    larger, smaller = pair("lenet_5_bn", "lenet_5_half_bn")
    names = select_weights(smaller, larger)
    assert set(names) == set(smaller.state_dict())
    weight, given = smaller.get_parameter("conv2.weight"), larger.get_parameter("conv2.weight")
    assert torch.equal(weight, given[:8, :3])


def test_a_shallower_network_gets_the_first_blocks() -> None:
    larger, smaller = pair("wide_resnet_22_1", "wide_resnet_10_1")
    select_weights(smaller, larger)
    for name, tensor in smaller.state_dict().items():
        assert torch.equal(tensor, larger.state_dict()[name])


def test_a_network_of_equal_size_becomes_the_same() -> None:
    larger, smaller = pair("lenet_5_tanh", "lenet_5_tanh")
    select_weights(smaller, larger)
    inputs = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(smaller.eval()(inputs), larger.eval()(inputs))


def test_no_kernel_is_cut_out_of_a_larger_one() -> None:
    larger, smaller = nn.Sequential(nn.Conv2d(3, 8, 7)), nn.Sequential(nn.Conv2d(3, 8, 3))
    assert select_weights(smaller, larger) == ["0.bias"]


@pytest.mark.parametrize("smaller", ["wide_resnet_16_2", "convnet_8"])
def test_what_does_not_fit_stays(smaller: str) -> None:
    larger, network = pair("wide_resnet_16_1", smaller)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    copied = select_weights(network, larger)
    for name, tensor in network.state_dict().items():
        assert name in copied or torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("larger", "smaller", "counts"),
    [("lenet_32", "convnet_8", "0 of its 4"), ("cifar_resnet_20", "wide_resnet_16_1", "2 of its 16")],
)
def test_a_student_of_another_family_starts_fresh_and_is_warned_of(
    larger: str, smaller: str, counts: str, caplog: pytest.LogCaptureFixture
) -> None:
    teacher, student = pair(larger, smaller)
    before = copy.deepcopy(student.state_dict())
    start_from_teacher(student, teacher)
    assert f"of another family than its teacher ({counts} matrices and kernels fit)" in caplog.text
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [
        ("wide_resnet_40_2", "wide_resnet_16_1"),
        ("cifar_resnet_32", "cifar_resnet_20"),
        ("lenet_5_bn", "lenet_5_half_bn"),
        ("mlp_64_64", "mlp_32_32"),
    ],
)
def test_a_student_of_the_family_starts_as_the_teacher(
    larger: str, smaller: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    teacher, student = pair(larger, smaller)
    start_from_teacher(student, teacher)
    tensors = len(student.state_dict())
    assert caplog.messages == [f"{tensors} of the student's {tensors} tensors start as the teacher's"]
