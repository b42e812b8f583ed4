"""What a network costs, counted by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import least_of_repeats, measure_cost, measure_latency
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
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


class Products(nn.Module):
    """Uses an operator that torch's own counter does not know, on a vector of 64 features."""

    def __init__(self, operator: str) -> None:
        super().__init__()
        self.operator = operator
        self.matrix, self.bilinear = nn.Parameter(torch.randn(10, 64)), nn.Bilinear(16, 17, 10)

    def forward(self, x: Tensor) -> Tensor:  # noqa: PLR0912
        match self.operator:
            case "mv":
                return torch.mv(x, self.matrix[0])
            case "dot":
                return torch.dot(x[0], self.matrix[0])
            case "addmv":
                return torch.addmv(x[:, 0], x, self.matrix[0])
            case "addbmm":
                return torch.addbmm(x[:, :10], x[None], self.matrix.T[None])
            case "addr":
                return torch.addr(x[:, :1] * self.matrix[:, :64], self.matrix[:, 0], x[0])
            case "outer":
                return torch.einsum("...i, ...j -> ...ij", x[:, :16], x[:, 16:32])
            case "inner":
                return torch.einsum("bi,oi->bo", x, self.matrix)
            case "bilinear":
                return self.bilinear(x[:, :16], x[:, 16:33])
            case "far":
                return torch.cdist(x.expand(30, -1), self.matrix)
            case "vecdot":
                return torch.linalg.vecdot(x[:, None], y=self.matrix)
            case "pdist":
                return torch.pdist(x.view(4, 16))
            case "affine_grid":
                return functional.affine_grid(x[:, :6].view(-1, 2, 3), [len(x), 1, 4, 4]).flatten(1)
            case "fft":
                return torch.fft.rfft(x).abs()
        return torch.cdist(x, self.matrix)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("mv", 64),
        ("dot", 64),
        ("addmv", 64),
        ("addbmm", 640),
        ("addr", 640),
        ("outer", 256),
        ("inner", 640),
        ("bilinear", 2720),
        ("cdist", 640),
        ("vecdot", 640),
        ("far", 30 * 640),
        ("pdist", 6 * 16),
        ("affine_grid", 16 * 6),
    ],
)
def test_operators_that_torch_does_not_count_are_counted(
    operator: str, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert macs(Products(operator), InputSpec(shape=(64,))) == expected
    assert not caplog.text


def test_a_complex_product_counts_once() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(64, 10, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return (x.to(torch.complex64) @ self.weight).abs()

    cost = measure_cost(Complex(), InputSpec(shape=(64,)))
    assert (cost.macs, cost.parameters, cost.bytes) == (640, 640, 8 * 640)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_of_a_complex_convolution_counts_once(transposed: bool) -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            make = nn.ConvTranspose2d if transposed else nn.Conv2d
            self.conv, self.head = make(3, 4, 3, padding=1, dtype=torch.complex64), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(torch.complex(x, x)).abs().mean((2, 3)))

    assert macs(Complex(), InputSpec(shape=(3, 8, 8))) == 64 * 4 * 27 + 4 * 5


class Calling(nn.Module):
    """A linear layer, and a function of it and of the batch."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(8, 5), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear, x)


def deciding(layer: nn.Module, x: Tensor) -> Tensor:
    """Return one of two branches, of which that of zeros is the smaller one."""
    return torch.cond(x.sum() > 0, lambda values: layer(layer(values).repeat(1, 2)[:, :8]), layer, (x,))


def attending(layer: nn.Module, x: Tensor) -> Tensor:
    """Attend by an operator that torch compiles."""
    heads = x.view(-1, 1, 4, 2)
    return layer(flex_attention(heads, heads, heads).reshape(-1, 8))  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_operators_on_graphs_are_taken_and_count_as_zeros_pass_them() -> None:
    for function, expected in ((deciding, 40), (attending, 40 + 2 * 4 * 4 * 2)):
        network = Calling(function)
        assert inspect(network, InputSpec(shape=(8,)), role="teacher").macs == expected
        assert network(torch.ones(3, 8)).shape == (3, 5)


def fails_with_hooks(layer: nn.Module, x: Tensor) -> Tensor:
    """Compute the layer, where no hook is on it."""
    if layer._forward_hooks:
        raise RuntimeError("hooked")
    return layer(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda layer, x: layer(x.double()).float(), r"computes in several floating types: .* x\.double\(\) does"),
        (fails_with_hooks, "hooks on its layers keep from running, .*: hooked"),
    ],
)
def test_why_a_network_cannot_be_inspected_is_true(
    function: Callable[[nn.Module, Tensor], Tensor], message: str
) -> None:
    with pytest.raises(NetworkError, match=message):
        inspect(Calling(function), InputSpec(shape=(8,)), role="teacher")


def test_multiply_accumulates_that_cannot_be_counted_are_left_out_in_words(caplog: pytest.LogCaptureFixture) -> None:
    def without_modes(layer: nn.Module, x: Tensor) -> Tensor:
        if is_in_torch_dispatch_mode():
            raise RuntimeError("no modes here")
        return layer(x)

    assert inspect(Calling(without_modes), InputSpec(shape=(8,)), role="teacher").macs == 0
    assert "multiply-accumulates could not be counted: no modes here" in caplog.text


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["spectral", "weight", "orthogonal", "spectral_hook", "weight_hook"])
def test_what_computes_weights_is_no_work_for_an_example(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    hooks = {"spectral_hook": nn.utils.spectral_norm, "weight_hook": nn.utils.weight_norm}
    wrap = {"spectral": spectral_norm, "weight": weight_norm, "orthogonal": orthogonal, **hooks}[kind]
    network = nn.Sequential(wrap(nn.Conv2d(3, 6, 3, padding=1)), nn.Flatten(), wrap(nn.Linear(384, 10)))
    network.train()(torch.randn(2, 3, 8, 8))
    with caplog.at_level("INFO"):
        assert macs(network, InputSpec(shape=(3, 8, 8))) == 64 * 27 * 6 + 384 * 10
    assert not caplog.text
    assert len(network[0]._forward_pre_hooks) == ("hook" in kind)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_layers_of_8_bit_weights_count_whole() -> None:
    ao: Any = torch.ao.quantization
    linear = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
    dynamic = ao.quantize_dynamic(linear, {nn.Linear}, dtype=torch.qint8)
    cost = measure_cost(dynamic, InputSpec(shape=(12,)))
    assert (cost.parameters, cost.macs) == (12 * 16 + 16 + 16 * 4 + 4, 12 * 16 + 16 * 4)
    # Weights in 8 bits, biases in 32, and a scale and a zero point of each layer.
    assert cost.bytes == 12 * 16 + 16 * 4 + 4 * (16 + 4) + 2 * (4 + 8)

    layers = (ao.QuantStub(), nn.Conv2d(4, 8, 3, groups=2), nn.Flatten(), nn.Linear(288, 5), ao.DeQuantStub())
    network: Any = nn.Sequential(*layers).eval()
    network.qconfig = ao.default_qconfig
    prepared = ao.prepare(network)
    prepared(torch.randn(4, 4, 8, 8))
    cost = measure_cost(ao.convert(prepared), InputSpec(shape=(4, 8, 8)))
    assert (cost.parameters, cost.macs) == (8 * 18 + 8 + 288 * 5 + 5, 288 * 18 + 288 * 5)
    assert cost.bytes == 8 * 18 + 4 * 8 + 288 * 5 + 4 * 5 + 3 * (4 + 8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("layer", [nn.LSTM(12, 8, 2, batch_first=True, bidirectional=True), nn.GRU(12, 8)])
def test_recurrent_layers_of_8_bit_weights_count_whole(layer: nn.RNNBase, caplog: pytest.LogCaptureFixture) -> None:
    ao: Any = torch.ao.quantization
    spec, network = InputSpec(shape=(TOKENS, 12)), nn.Sequential(layer)
    with caplog.at_level("INFO"):
        whole, cost = (measure_cost(each, spec) for each in (network, ao.quantize_dynamic(network, {type(layer)})))
    assert (cost.parameters, cost.macs) == (whole.parameters, whole.macs)
    # Weights in 8 bits, biases in 32.
    biases = sum(each.numel() for name, each in layer.named_parameters() if "bias" in name)
    assert cost.bytes == whole.parameters + 3 * biases
    assert not caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("cell", [nn.LSTMCell(12, 8), nn.GRUCell(12, 8), nn.RNNCell(12, 8)])
def test_recurrent_cells_of_8_bit_weights_count_whole(cell: nn.RNNCellBase) -> None:
    ao: Any = torch.ao.quantization
    spec, network = InputSpec(shape=(12,)), nn.Sequential(cell)
    whole, cost = (measure_cost(each, spec) for each in (network, ao.quantize_dynamic(network, {type(cell)})))
    assert (cost.parameters, cost.macs) == (whole.parameters, whole.macs)
    assert cost.bytes == whole.parameters + 3 * cell.bias_ih.numel() * 2


def test_an_operator_without_a_formula_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert macs(Products("fft"), InputSpec(shape=(64,))) == 0
    assert "multiply-accumulates leave out aten._fft_r2c, for which there is no formula" in caplog.text


def test_tied_weights_count_once() -> None:
    first, second = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
    second.weight = first.weight
    network = nn.Sequential(first, nn.ReLU(), second, nn.Linear(16, 2))
    cost = measure_cost(network, InputSpec(shape=(16,)))
    assert cost.parameters == 256 + 34
    assert cost.bytes == 4 * (256 + 34)
    network.register_buffer("view", first.weight.detach()[:4])
    assert measure_cost(network, InputSpec(shape=(16,))).bytes == 4 * (256 + 34)
    # As a program of torch.export holds them.
    second.weight = nn.Parameter(first.weight.detach())
    assert second.weight is not first.weight
    assert measure_cost(network, InputSpec(shape=(16,))).parameters == 256 + 34


def test_a_layer_that_is_kept_three_times_has_1152_bytes() -> None:
    layers = [nn.Linear(16, 16) for _ in range(3)]
    assert measure_cost(nn.Sequential(*layers), InputSpec(shape=(16,))).bytes == 3264
    for layer in layers[1:]:
        layer.weight = layers[0].weight
    layers[2].bias = layers[1].bias
    cost = measure_cost(nn.Sequential(*layers), InputSpec(shape=(16,)))
    assert (cost.bytes, cost.parameters, cost.macs) == (1152, 288, 3 * 256)


def test_the_least_of_several_measurements_counts() -> None:
    measured = iter([(3.0, 1.0), (1.0, 9.0), *[(2.0, 2.0)] * 5])
    assert least_of_repeats(lambda number: next(measured) if number > 1 else (0.0, 0.0)) == [1.0, 1.0]


class Squeezes(nn.Module):
    """Loses the axis of a batch of one, and then fails."""

    def forward(self, inputs: Tensor) -> Tensor:
        squeezed = inputs.squeeze()
        return squeezed @ torch.ones(squeezed.shape[1], 3)


def test_a_network_that_fails_on_a_single_example_is_timed_with_two() -> None:
    spec = InputSpec(shape=(4,))
    seconds = measure_latency([Squeezes(), nn.Linear(4, 3)], spec, num_timed=3)
    assert all(each > 0 for each in seconds)


@pytest.mark.filterwarnings("ignore:.*in beta state")
@pytest.mark.parametrize(
    ("layout", "num_bytes"),
    [
        (torch.sparse_coo, 2 * 8 * 3 + 4 * 3),
        (torch.sparse_csr, 8 * (5 + 3) + 4 * 3),
        (torch.sparse_csc, 8 * (7 + 3) + 4 * 3),
    ],
)
def test_a_sparse_buffer_takes_the_bytes_of_its_indices_and_values(layout: torch.layout, num_bytes: int) -> None:
    network, entries = nn.Linear(4, 2), torch.zeros(4, 6)
    entries[0, 1] = entries[2, 2] = entries[3, 5] = 1.0
    network.register_buffer("adjacency", entries.to_sparse(layout=layout))
    assert measure_cost(network, InputSpec(shape=(4,))).bytes == 4 * 10 + num_bytes


def test_a_sparse_parameter_has_as_many_numbers_as_it_holds() -> None:
    network = nn.Linear(4, 2)
    network.edges = nn.Parameter(torch.eye(5).to_sparse())
    assert measure_cost(network, InputSpec(shape=(4,))).parameters == 10 + 5
