"""Casts touch floating types alone: complex parameters keep their imaginary part, from loading to the last file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from beliefmatch import compress
from beliefmatch.errors import WeightsError
from beliefmatch.measurement import measure_pair
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.dtypes import dtype_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.placement import move_to_device
from beliefmatch.networks.recording import noise_for
from beliefmatch.training.loop import run_round
from tiny import begin, tiny_transfer

CPU = torch.device("cpu")


class Fourier(nn.Module):
    """Multiplies the spectrum of its inputs by complex weights, which are its first parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Parameter(torch.randn(8, 5, dtype=torch.complex64))
        self.register_buffer("steps", torch.ones((), dtype=torch.int64))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.fft.irfft2(torch.fft.rfft2(x) * self.spectrum, s=(8, 8)).flatten(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_that_is_moved_computes_the_same(dtype: torch.dtype) -> None:
    network, batch = Fourier(), torch.randn(5, 1, 8, 8)
    before = network(batch)
    move_to_device(network, CPU, dtype)
    assert (network.head.weight.dtype, network.spectrum.dtype) == (dtype, torch.complex64)
    assert network.state_dict()["steps"].dtype == torch.int64
    torch.testing.assert_close(network(batch.to(dtype)).float(), before)


def test_inputs_are_of_the_floating_type() -> None:
    network = Fourier()
    assert dtype_of(network) == noise_for(network, DIGITS, num_examples=2).dtype == torch.float32
    assert inspect(network, DIGITS, role="teacher").dtype == torch.float32
    inputs = torch.randn(20, 1, 8, 8)
    labels = network(inputs).argmax(dim=1)
    found = measure_pair(network, network, DIGITS, inputs, labels)
    assert (found.teacher_accuracy, found.agreement.value, found.divergence.value) == (1, 1, 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_bytes_are_those_of_32_bits_and_the_log_says_so(dtype: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="beliefmatch.networks.dtypes")
    spec = InputSpec(shape=(4,))
    for given, expected in ((nn.Linear(4, 3), []), (nn.Linear(4, 3).to(dtype), [str(dtype).removeprefix("torch.")])):
        caplog.clear()
        network, _ = GivenNetwork.of(given).load_inspected(spec, role="teacher")
        assert measure_cost(network, spec).bytes == 4 * 15
        assert caplog.messages == [
            f"Linear holds {name}: it computes in float32 here, and its bytes are counted so" for name in expected
        ]


def test_a_student_of_complex_parameters_learns() -> None:
    student = Fourier()
    transfer, state, teacher, fabric = begin(tiny_transfer(), student=student)
    before = state.student.state_dict()["spectrum"].clone()
    run_round(transfer, state, teacher, fabric)
    change = state.student.state_dict()["spectrum"] - before
    assert bool((change.real != 0).any())
    assert bool((change.imag != 0).any())
    assert state.first_bad_round.item() == -1


def test_a_file_keeps_the_imaginary_part(tmp_path: Path) -> None:
    network, other = Fourier(), Fourier()
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    fit_weights(other, read_weights(tmp_path / "a.safetensors"), name="a")
    assert torch.equal(other.spectrum, network.spectrum)


@pytest.mark.parametrize(
    ("key", "dtype", "given", "wanted"),
    [
        ("spectrum", torch.float32, "float32", "complex64"),
        ("head.weight", torch.complex64, "complex64", "float32"),
        ("head.weight", torch.int8, "int8", "float32"),
    ],
)
def test_numbers_that_mean_something_else_are_refused(key: str, dtype: torch.dtype, given: str, wanted: str) -> None:
    state = Fourier().state_dict()
    state[key] = torch.ones(state[key].shape, dtype=dtype)
    with pytest.raises(
        WeightsError, match=f"a does not fit the network: {key} is {given}, the network expects {wanted}"
    ):
        fit_weights(Fourier(), state, name="a")


def test_each_call_says_once_what_is_cast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    network = nn.Linear(8, 5).double()
    examples = torch.randn(20, 8)
    with caplog.at_level("INFO"):
        run = compress(
            network, nn.Linear(8, 5), shape=(8,), rounds=1, recipe="noise", batch_size=8, folder=None, progress=False
        )
        assert caplog.text.count("holds float64: it computes in float32 here") == 1
        run.measure(examples)
    assert caplog.text.count("holds float64: it computes in float32 here") == 2
