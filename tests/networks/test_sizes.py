"""Networks made for images of one size, given others."""

from typing import Any

import pytest
import timm
from torch import nn
from torchvision.models import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.sizes import size_hint


def make_timm() -> nn.Module:
    return timm.create_model("test_vit", img_size=24, patch_size=8, num_classes=3, dynamic_img_size=False)


def make_mixer() -> nn.Module:
    return timm.create_model("mixer_s32_224", num_classes=3)


def make_torchvision() -> nn.Module:
    return VisionTransformer(image_size=32, patch_size=16, num_layers=1, num_heads=2, hidden_dim=12, mlp_dim=12)


def make_hugging_face() -> nn.Module:
    sizes: dict[str, Any] = {
        "hidden_size": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 12,
    }
    return ViTForImageClassification(ViTConfig(**sizes, image_size=24, patch_size=8))


@pytest.mark.parametrize(
    ("make", "made_for", "written"),
    [
        (make_timm, 24, "img_size"),
        (make_mixer, 224, "img_size"),
        (make_torchvision, 32, "image_size"),
        (make_hugging_face, 24, "image_size"),
    ],
)
def test_what_can_be_written_is_told(make: type[nn.Module], made_for: int, written: str) -> None:
    with pytest.raises(NetworkError) as caught:
        inspect(make(), InputSpec(shape=(3, 48, 48)), role="student")
    assert "the student does not take inputs of shape (3, 48, 48): " in str(caught.value)
    assert str(caught.value).endswith(
        f"; it is made for {made_for}x{made_for}: write ?{written}=48 after its name, or say "
        f"shape=(3, {made_for}, {made_for}) if the teacher takes that"
    )


def test_a_teacher_has_weights_of_its_size() -> None:
    message = r"shape=\(3, 24, 24\), or write \?image_size=48 after its name if its weights are of that size$"
    with pytest.raises(NetworkError, match=message):
        inspect(make_hugging_face(), InputSpec(shape=(1, 48, 48)), role="teacher")


def test_nothing_is_told_where_the_size_is_right_or_free() -> None:
    assert not size_hint(make_timm(), InputSpec(shape=(1, 24, 24)), role="teacher")
    assert not size_hint(timm.create_model("test_resnet"), InputSpec(shape=(3, 32, 32)), role="teacher")
    assert not size_hint(nn.Linear(3, 3), InputSpec(shape=(3,)), role="teacher")


def test_sides_may_differ() -> None:
    assert "?img_size=(48,24) after" in size_hint(make_timm(), InputSpec(shape=(3, 48, 24)), role="student")
