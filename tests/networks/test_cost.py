"""What a network costs, counted by hand."""

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10

TOKENS, WIDTH, HIDDEN = 5, 16, 32
SEQUENCE = InputSpec(shape=(TOKENS, WIDTH))
ATTENTION = TOKENS * WIDTH * 3 * WIDTH + 2 * TOKENS * TOKENS * WIDTH + TOKENS * WIDTH * WIDTH
"""Queries, keys and values; scores and what they weigh; the projection."""


class Attending(nn.Module):
    """torch's own attention of a sequence to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class NamesTheKernel(nn.Module):
    """Calls the fused kernel of a CPU by its name, as an exported program may."""

    def forward(self, x: Tensor) -> Tensor:
        heads = x.view(len(x), 1, TOKENS, WIDTH)
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(heads, heads, heads)[0]


class Recurrent(nn.Module):
    """The last answer of an LSTM."""

    def __init__(self, *, layers: int, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(WIDTH, 8, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0][:, -1]


def macs(network: nn.Module, spec: InputSpec = SEQUENCE) -> int:
    return measure_cost(network, spec).macs


def test_attention_counts_by_every_path() -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, HIDDEN, batch_first=True)
    assert macs(Attending()) == ATTENTION
    assert macs(layer) == ATTENTION + 2 * TOKENS * WIDTH * HIDDEN
    assert macs(NamesTheKernel()) == 2 * TOKENS * TOKENS * WIDTH


def test_an_lstm_counts_in_all_layers_and_directions() -> None:
    one = TOKENS * 4 * 8 * (WIDTH + 8)
    assert macs(Recurrent(layers=1, bidirectional=False)) == one
    assert macs(Recurrent(layers=1, bidirectional=True)) == 2 * one
    assert macs(Recurrent(layers=2, bidirectional=False)) == one + TOKENS * 4 * 8 * (8 + 8)


def vit_macs(width: int, hidden: int) -> int:
    """Two blocks on 16 patches of 8x8 and a class token, and ten classes."""
    tokens = 17
    block = tokens * width * 4 * width + 2 * tokens * tokens * width + 2 * tokens * width * hidden
    return 16 * 3 * 64 * width + 2 * block + width * 10


def test_a_vision_transformer_of_timm_counts_whole() -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=10)
    assert macs(network, CIFAR10) == vit_macs(192, 768)


def test_a_vision_transformer_of_hugging_face_counts_whole() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        num_labels=10,
    )
    network = transformers.AutoModelForImageClassification.from_config(config)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x).logits

    assert macs(Logits(), CIFAR10) == vit_macs(48, 96)


@pytest.mark.parametrize("enabled", [True, False])
def test_counting_leaves_the_paths_of_attention_as_they_were(enabled: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        with pytest.raises(RuntimeError):
            macs(nn.Linear(3, 3))
        assert torch.backends.mha.get_fastpath_enabled() == enabled
        assert torch.backends.cuda.flash_sdp_enabled()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
