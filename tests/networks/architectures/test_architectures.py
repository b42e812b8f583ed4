"""Architectures against the sizes that the literature prints."""

import pytest
import torch
from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.architectures.generators import ImageGenerator, make_generator
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.built_in import EXAMPLES
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import CIFAR10
from tiny import named

GREY = InputSpec(shape=(1, 28, 28))


@pytest.mark.parametrize(
    ("name", "spec", "parameters"),
    [
        ("wide_resnet_16_1", CIFAR10, 175_066),
        ("wide_resnet_16_2", CIFAR10, 691_674),
        ("wide_resnet_40_1", CIFAR10, 563_930),
        ("wide_resnet_40_2", CIFAR10, 2_243_546),
        ("wide_resnet_40_2_raw", CIFAR10, 2_243_546),
        ("cifar_resnet_20", CIFAR10, 269_722),
        ("cifar_resnet_20_b", CIFAR10, 272_474),
        ("cifar_resnet_56", CIFAR10, 853_018),
        ("cifar_resnet_110", CIFAR10, 1_727_962),
        ("lenet_5", GREY, 61_706),
        ("lenet_5_tanh", GREY, 61_706),
        ("lenet_5_bn", GREY, 62_202),
        ("lenet_5_half", GREY, 15_738),
        ("lenet_32", CIFAR10, 62_006),
    ],
)
def test_parameters_are_those_of_the_literature(name: str, spec: InputSpec, parameters: int) -> None:
    network = make_network(name, in_channels=spec.shape[0], num_classes=10)
    assert measure_cost(network, spec).parameters == parameters
    assert network(torch.zeros(2, *spec.shape)).shape == (2, 10)


@pytest.mark.parametrize(("name", "mmacs"), [("16_1", 26.7), ("16_2", 101.1), ("40_1", 83.3), ("40_2", 327.6)])
def test_wide_resnets_cost_what_the_paper_counts(name: str, mmacs: float) -> None:
    network = make_network(f"wide_resnet_{name}", in_channels=3, num_classes=10)
    assert measure_cost(network, CIFAR10).macs / 1e6 == pytest.approx(mmacs, abs=0.05)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 30, 17), (2, 5, 9)])
def test_generators_fit_images_of_any_size(shape: tuple[int, int, int]) -> None:
    assert ImageGenerator(4, shape)(torch.randn(3, 4)).shape == (3, *shape)


@pytest.mark.parametrize("shape", [(2,), (1, 1), (2, 3), (3, 50)])
def test_generators_fit_vectors_and_signals(shape: tuple[int, ...]) -> None:
    assert make_generator(4, InputSpec(shape=shape))(torch.randn(3, 4)).shape == (3, *shape)


def test_generators_refuse_the_rest() -> None:
    with pytest.raises(NetworkError, match="no generator fits"):
        make_generator(4, InputSpec(shape=(2, 3, 4, 5)))


def test_shortcut_conventions_differ_in_what_they_compute() -> None:
    activated, raw = (make_network(f"wide_resnet_16_2{form}", in_channels=3, num_classes=10) for form in ("", "_raw"))
    raw.load_state_dict(activated.state_dict())
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(activated.eval()(batch), raw.eval()(batch))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_name_that_errors_suggest_can_be_made(name: str) -> None:
    assert isinstance(make_network(name, in_channels=3, num_classes=4), nn.Module)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wide_resnt_40_1", "nearest are wide_resnet_40_1"),
        ("wide_resnet_17_1", r"depth is 6n \+ 4"),
        ("cifar_resnet_21", r"depth is 6n \+ 2"),
        ("no_such.py:make", "no file at no_such.py"),
        ("no_such_package:make", "no origin or module is called .*; known are timm:NAME"),
        (named("make_mlp_techer"), "nearest are make_mlp_teacher"),
        ("collections:OrderedDict", "returned a OrderedDict, expected a torch.nn.Module"),
    ],
)
def test_a_name_that_cannot_be_made_says_what_to_type(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make_network(name, in_channels=3, num_classes=10)
