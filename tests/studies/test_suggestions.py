"""Students that are suggested are smaller, fit, and those of the family come first."""

import torch

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.teacher import Teacher
from beliefmatch.studies.suggestions import MOST, of_family, suggest_students


def test_families() -> None:
    assert of_family("wide_resnet_28_2_raw") == [
        *("wide_resnet_28_2_raw", "wide_resnet_22_2_raw", "wide_resnet_16_2_raw"),
        *("wide_resnet_28_1_raw", "wide_resnet_22_1_raw", "wide_resnet_16_1_raw"),
    ]
    assert of_family("cifar_resnet_44_b") == ["cifar_resnet_32_b", "cifar_resnet_20_b"]
    assert of_family("lenet_5_bn") == ["lenet_5_half_bn"]
    assert of_family("mlp_100_500") == ["mlp_50_250", "mlp_25_125"]
    assert of_family("fcn_3") == ["fcn_1"]
    assert of_family("my_file.py:net") == of_family("lenet_32") == []


def test_students_are_smaller_and_fit() -> None:
    torch.manual_seed(0)
    name, spec = "convnet_32", InputSpec(shape=(1, 16, 16))
    teacher = Teacher(make_network(name, in_channels=1, num_classes=7), spec)
    whole, *students = suggest_students(name, teacher)
    assert whole.architecture == name
    assert [each.architecture for each in students] == ["convnet_16", "convnet_8"]
    assert 0 < len(students) <= MOST
    for each in students:
        assert each.cost.macs < whole.cost.macs
        assert each.cost.parameters < whole.cost.parameters
        assert each.latency > 0
        assert each.batch_latency > 0


def test_a_vector_gets_mlps() -> None:
    teacher = Teacher(make_network("mlp_300_300", in_channels=12, num_classes=3), InputSpec(shape=(12,)))
    names = [each.architecture for each in suggest_students("net.py:make", teacher)]
    assert names == ["net.py:make", "mlp_128_64", "mlp_64", "mlp_32", "mlp_16"]
