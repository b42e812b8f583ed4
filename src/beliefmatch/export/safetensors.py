"""safetensors: the weights alone, for the same architecture."""

import safetensors.torch

from beliefmatch.export.base import TORCH, Format, input_lines, quoted, without_folder
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.state_dicts import as_tensors


def write(graph: DeployedGraph, _spec: InputSpec) -> bytes:
    """Return the weights."""
    return safetensors.torch.save(as_tensors(graph.network, role="student"), metadata={"format": "pt"})


def write_code(file: str, pixels: str | None, spec: InputSpec, network: Network) -> list[str]:
    """Return lines of Python that load the file into the architecture, built by beliefmatch."""
    outputs = f", outputs={quoted(network.outputs)}" if network.outputs else ""
    outputs += f", output={quoted(network.output)}" if network.output else ""
    weights = f"weights=Path({quoted(file)}), num_classes={network.num_classes}{outputs}"
    return [
        "from pathlib import Path",
        "",
        "import torch",
        "",
        "from beliefmatch import InputSpec, Network",
        "",
        f"network = Network(architecture={quoted(without_folder(network.architecture))}, {weights})",
        f"student = network.load(InputSpec(shape={spec.shape})).eval()",
        *input_lines(TORCH, pixels, spec),
        "with torch.no_grad():",
        "    logits = student(inputs)",
    ]


SAFETENSORS = Format(
    title="safetensors, weights alone",
    write=write,
    write_code=write_code,
    needs="`pip install beliefmatch`",
    holds_graph=False,
)
