"""The graph that is exported: a network, and before it, if wanted, what makes its inputs of pixels."""

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from beliefmatch.errors import ExportError, SettingsError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.packages import quiet
from beliefmatch.networks.passes import changes_inputs
from beliefmatch.setting_names import Setting

Pixels = Literal["uint8", "unit"]
"""What an exported file takes instead of network inputs: pixels from 0 to 255, or from 0 to 1."""

TRACED_BATCH = 2
"""A batch of one is what exporters take for a fixed size."""


class DeployedGraph(nn.Module):
    """A network in eval mode with float32 weights, fed with network inputs or with pixels.

    The network is called, not its `forward`, so that hooks on it keep their effect. It is changed in place: weights
    that lie in another order in memory, such as channels last, are laid out anew.
    """

    mean: Tensor
    """(channels, 1, ...), in pixels scaled to [0, 1]."""
    std: Tensor

    def __init__(self, network: nn.Module, spec: InputSpec, pixels: Pixels | None) -> None:
        super().__init__()
        self.network = _make_contiguous(network.float().eval()).requires_grad_(requires_grad=False)
        self.pixels: Pixels | None = pixels
        # Who runs the file keeps its inputs as they were.
        self.copies = pixels is None and changes_inputs(self.network, example_of(spec, None, batch_size=TRACED_BATCH))
        channels, *positions = spec.shape
        for name, values in (("mean", spec.mean or (0.0,) * channels), ("std", spec.std or (1.0,) * channels)):
            constants = torch.tensor(values).view(channels, *(1 for _ in positions))
            self.register_buffer(name, constants, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute logits.

        Args:
            inputs: (batch, *shape): float32 network inputs, uint8 pixels, or float32 pixels in [0, 1].

        Returns:
            (batch, classes), float32.
        """
        if self.pixels == "uint8":
            inputs = inputs.float() / 255
        if self.pixels is not None:
            inputs = (inputs - self.mean) / self.std
        return self.network(inputs.clone() if self.copies else inputs)


def _make_contiguous(network: nn.Module) -> nn.Module:
    # torch.export.save takes the storage as it lies, which for channels last it calls incomplete.
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.contiguous()
    return network


def check_pixels_fit(spec: InputSpec, pixels: Pixels | None) -> None:
    """Check that inputs of a network can be made of pixels.

    Raises:
        SettingsError: they are no images.
    """
    if pixels is not None and len(spec.shape) != 3:
        raise SettingsError(
            f"inputs of shape {spec.shape} are no images, so there are no pixels: leave out {Setting('pixels')}"
        )


def example_of(spec: InputSpec, pixels: Pixels | None, *, batch_size: int) -> Tensor:
    """Return what a graph takes, (batch_size, *shape), all zeros."""
    return torch.zeros((batch_size, *spec.shape), dtype=torch.uint8 if pixels == "uint8" else torch.float32)


def trace(graph: DeployedGraph, spec: InputSpec) -> ExportedProgram:
    """Trace a graph with torch.export; its batch axis, named batch, stays free.

    Raises:
        ExportError: the network decides by values, or holds the size of the batch as a number.
    """
    example = example_of(spec, graph.pixels, batch_size=TRACED_BATCH)
    try:
        with hushed(), torch.no_grad():
            free = {"inputs": {0: Dim("batch")}}
            program = torch.export.export(graph, (example,), dynamic_shapes=free, strict=False)
    except Exception as error:
        # Whatever a network does may be more than the exporter can follow.
        raise ExportError(
            f"the network has no graph with a free batch size: {_explain(error)}; {Setting('to', 'safetensors')} needs "
            "no graph"
        ) from error
    for node in program.graph.nodes:
        # Where the sources of a network lie is nobody's business where it is deployed.
        node.meta.pop("stack_trace", None)
    return program


def _explain(error: Exception) -> str:
    """Return in one line why a graph has no free batch size."""
    if "Constraints violated" not in str(error):
        return first_line(error)
    if "specialized it to be a constant" in str(error):
        return "its file or its code holds the size of the batch as a number, as len(x) is one and x.shape[0] is not"
    return "batches of some sizes are computed otherwise than others, as torch.cdist does above 25 rows"


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Suppress what exporters write for their own developers; the user gets one line where something fails."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), quiet():
            yield
    finally:
        logging.disable(before)
