"""Reading named activations."""

import pytest
import torch
from torch import nn

from beliefmatch.errors import NetworkError, TapError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.taps import TapPair, declared_pairs, outputs_of


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_outputs_and_inputs_are_read_and_no_hook_stays() -> None:
    module, batch = network(), torch.randn(5, 3)
    read = outputs_of(module, batch, outputs=["0"], inputs=["1"])
    torch.testing.assert_close(read.activations["0"], module[0](batch))  # pyright: ignore[reportIndexIssue]
    assert read.inputs["1"] is read.activations["0"]
    torch.testing.assert_close(read.logits, module(batch))
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())


def test_a_wrong_name_lists_the_names() -> None:
    module = make_network("lenet_5", in_channels=1, num_classes=10)
    with pytest.raises(TapError, match=r"no module 'convv2'; the nearest are conv2.*all: conv1, .*fc2"):
        outputs_of(module, torch.zeros(1, 1, 28, 28), outputs=["convv2"])


def test_something_other_than_logits_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"returned a tensor of shape \(2, 3, 4\), expected logits"):
        outputs_of(nn.Identity(), torch.zeros(2, 3, 4))


def test_architectures_declare_pairs_and_unlike_ones_have_none() -> None:
    wide = make_network("wide_resnet_16_1", in_channels=3, num_classes=10)
    resnet = make_network("cifar_resnet_20", in_channels=3, num_classes=10)
    assert declared_pairs(wide, resnet)[0] == TapPair(teacher="group1", student="layer1")
    assert declared_pairs(wide, network()) == ()


@pytest.mark.parametrize(("text", "pair"), [("a=b", ("a", "b")), ("a.0", ("a.0", "a.0"))])
def test_pairs_are_read_from_text(text: str, pair: tuple[str, str]) -> None:
    found = TapPair.parse(text)
    assert (found.teacher, found.student) == pair


@pytest.mark.parametrize("text", ["", "=b", "a="])
def test_half_a_pair_is_refused(text: str) -> None:
    with pytest.raises(TapError, match="TEACHER_MODULE=STUDENT_MODULE"):
        TapPair.parse(text)
