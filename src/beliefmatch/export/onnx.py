"""ONNX: graph and weights in one file, for onnxruntime and others."""

from typing import TYPE_CHECKING

import torch

from beliefmatch.errors import ExportError, first_line
from beliefmatch.export.base import NUMPY, Format, input_lines, input_name, quoted
from beliefmatch.export.graph import DeployedGraph, hushed, trace
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.setting_names import Setting

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 2**31 - 2**24
"""Bytes of weights that a single file can hold beside its graph: protobuf ends at 2 GiB."""


def write(graph: DeployedGraph, spec: InputSpec) -> bytes:
    """Return an ONNX file: input `inputs` or `pixels`, output `logits`, free first axis `batch`.

    Raises:
        ExportError: the network cannot be traced, an operation has no counterpart in ONNX, or it is too large.
    """
    if sum(tensor.numel() * tensor.element_size() for tensor in (*graph.parameters(), *graph.buffers())) > MAX_BYTES:
        raise ExportError(
            f"the network is larger than the 2 GB that one ONNX file can hold: choose {Setting('to', 'pt2')}"
        )
    program = trace(graph, spec)
    try:
        with hushed():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[input_name(graph.pixels)],
                output_names=["logits"],
                dynamic_shapes={"inputs": {0: "batch"}},
            )
            assert made is not None
            model = made.model_proto
            forget_origin(model.graph)
            return model.SerializeToString()
    except Exception as error:
        # Any operation that is new to it makes the exporter fail, each in a way of its own.
        why = first_line(_cause(error))
        raise ExportError(f"the network cannot be written as ONNX: {why}; try {Setting('to', 'pt2')}") from error


def forget_origin(graph: "onnx.GraphProto") -> None:
    """Remove, in place, what torch's exporter notes at every node: classes, lines of code and passes of its own.

    Nothing reads that where a file is deployed. It takes a tenth of a small network's bytes in 8 bits, and names files
    of whoever exported it.
    """
    noted = (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for each in noted:
        del each.metadata_props[:]
        each.ClearField("doc_string")
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            forget_origin(inner)


def _cause(error: BaseException) -> BaseException:
    """Return the first of the exceptions that led to one: it names the operator, and the last but a step."""
    return error if error.__cause__ is None else _cause(error.__cause__)


def write_code(file: str, pixels: str | None, spec: InputSpec, _network: Network) -> list[str]:
    """Return lines of Python that load the file with onnxruntime."""
    name = input_name(pixels)
    return [
        "import numpy as np",
        "import onnxruntime",
        "",
        f"session = onnxruntime.InferenceSession({quoted(file)})",
        *input_lines(NUMPY, pixels, spec),
        f'(logits,) = session.run(["logits"], {{"{name}": {name}}})',
    ]


ONNX = Format(
    title="ONNX",
    write=write,
    write_code=write_code,
    needs="`pip install numpy onnxruntime`, and neither torch nor beliefmatch",
    holds_graph=True,
    modules=("onnx", "onnxscript", "onnxruntime"),
)
