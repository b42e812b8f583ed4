"""torch.export's archive, pt2: graph and weights, for torch alone."""

import io

import torch

from beliefmatch.errors import ExportError, first_line
from beliefmatch.export.base import TORCH, Format, input_lines, input_name, quoted
from beliefmatch.export.graph import DeployedGraph, hushed, trace
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.setting_names import Setting


def write(graph: DeployedGraph, spec: InputSpec) -> bytes:
    """Return what `torch.export.load` reads.

    Raises:
        ExportError: the network cannot be traced, or not be written.
    """
    program, buffer = trace(graph, spec), io.BytesIO()
    try:
        with hushed():
            torch.export.save(program, buffer)
    except Exception as error:
        # A tensor of a kind that is new to it makes it fail in a way of its own.
        raise ExportError(
            f"the network cannot be written as pt2: {first_line(error)}; try {Setting('to', 'safetensors')}"
        ) from error
    return buffer.getvalue()


def write_code(file: str, pixels: str | None, spec: InputSpec, _network: Network) -> list[str]:
    """Return lines of Python that load the file with torch."""
    return [
        "import os",
        "",
        "import torch",
        "",
        'os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # tensors are read, nothing is unpickled',
        f"network = torch.export.load({quoted(file)}).module()",
        *input_lines(TORCH, pixels, spec),
        "with torch.no_grad():",
        f"    logits = network({input_name(pixels)})",
    ]


PT2 = Format(
    title="torch.export",
    write=write,
    write_code=write_code,
    needs="`pip install torch`, and not beliefmatch",
    holds_graph=True,
)
