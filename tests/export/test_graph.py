"""What is exported: normalisation inside, hooks kept, batch free."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import ExportError, SettingsError
from beliefmatch.export.graph import DeployedGraph, check_pixels_fit, example_of, hushed, trace
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10, DIGITS
from tiny import VECTOR, make_conv_teacher, make_mlp_student


class FixedBatch(nn.Module):
    """Turns the size of the batch into a number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), 12)[:, :3]


class Deciding(nn.Module):
    """Decides by values."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :3] if x.sum() > 0 else x[:, 3:6]


class Distances(nn.Module):
    """Gives distances, which torch computes by a matrix product where there are many."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(3, 12))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x, self.prototypes)


def double(_network: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return 2 * output


@pytest.mark.parametrize("spec", [DIGITS, CIFAR10, InputSpec(shape=(2, 4, 5))])
def test_pixels_become_the_inputs_that_the_spec_makes(spec: InputSpec) -> None:
    stored = torch.randint(0, 256, (3, *spec.shape[1:], spec.shape[0]), dtype=torch.uint8)
    channels_first = stored.permute(0, 3, 1, 2)
    expected = spec.from_pixels(stored)
    assert torch.allclose(DeployedGraph(nn.Identity(), spec, "uint8")(channels_first), expected, atol=1e-6)
    assert torch.allclose(DeployedGraph(nn.Identity(), spec, "unit")(channels_first / 255), expected, atol=1e-6)
    assert torch.equal(DeployedGraph(nn.Identity(), spec, None)(expected), expected)


def test_a_network_is_called_so_that_its_hooks_count() -> None:
    network = make_mlp_student()
    network.register_forward_hook(double)
    graph = DeployedGraph(network, VECTOR, None)
    batch = torch.randn(5, 12)
    assert torch.equal(trace(graph, VECTOR).module()(batch), network(batch))


def test_weights_are_laid_out_plainly_and_are_the_same() -> None:
    network = make_conv_teacher()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    DeployedGraph(network.to(memory_format=torch.channels_last), DIGITS, None)  # pyright: ignore[reportCallIssue]
    assert all(tensor.is_contiguous() for tensor in network.state_dict().values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network.training


def test_a_trace_does_not_tell_where_sources_lie() -> None:
    program = trace(DeployedGraph(make_conv_teacher(), DIGITS, "uint8"), DIGITS)
    assert not any("stack_trace" in node.meta for node in program.graph.nodes)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (FixedBatch(), r"holds the size of the batch as a number, as len\(x\) is one and x.shape\[0\] is not;"),
        (Distances(), "batches of some sizes are computed otherwise than others, as torch.cdist does above 25 rows;"),
        (Deciding(), "Could not guard on data-dependent"),
    ],
)
def test_what_has_no_graph_is_told_in_one_line(
    network: nn.Module, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        trace(DeployedGraph(network, VECTOR, None), VECTOR)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_pixels_need_images() -> None:
    check_pixels_fit(DIGITS, "unit")
    check_pixels_fit(VECTOR, None)
    with pytest.raises(SettingsError, match="no images, so there are no pixels: leave out pixels"):
        check_pixels_fit(VECTOR, "uint8")


def test_examples_have_the_type_that_is_taken() -> None:
    assert (example_of(DIGITS, "uint8", batch_size=3).dtype, example_of(DIGITS, "unit", batch_size=1).dtype) == (
        torch.uint8,
        torch.float32,
    )


def test_hushing_ends(capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    import logging  # noqa: PLC0415

    with hushed():
        print("within")
        logging.getLogger("somebody").warning("within")
    logging.getLogger("somebody").warning("after")
    assert capsys.readouterr().out == ""
    assert [record.message for record in caplog.records] == ["after"]
