"""The formats: how a network becomes the bytes of a file."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import safetensors.torch
import torch

from beliefmatch.errors import ExportError, SettingsError, first_line, near_names
from beliefmatch.export.graph import DeployedGraph, hushed, trace
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.packages import require

FormatName = Literal["onnx", "pt2", "safetensors"]

ONNX_LIMIT = 2**31 - 2**24
"""Bytes of weights that a single ONNX file can hold beside its graph: protobuf ends at 2 GiB."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to write a network. How it is read again stands in `answer.ANSWERS`."""

    write: Callable[[DeployedGraph, InputSpec], bytes]
    holds_graph: bool
    """Whether the file holds what is computed, and not the weights alone."""
    modules: tuple[str, ...] = ()
    """What must be installed besides torch."""


def write_onnx(graph: DeployedGraph, spec: InputSpec) -> bytes:
    """Write ONNX in one file: input `inputs` or `pixels`, output `logits`, free first axis `batch`.

    Raises:
        ExportError: the network cannot be traced, an operation has no counterpart in ONNX, or it is too large.
    """
    if sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values()) > ONNX_LIMIT:
        raise ExportError("the network is larger than the 2 GB that one ONNX file can hold: choose --to pt2")
    program = trace(graph, spec)
    try:
        with hushed():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[input_name(graph)],
                output_names=["logits"],
                dynamic_shapes={"inputs": {0: "batch"}},
            )
            assert made is not None
            return made.model_proto.SerializeToString()
    except Exception as error:
        # Any operation that is new to it makes the exporter fail, each in a way of its own.
        raise ExportError(f"the network cannot be written as ONNX: {first_line(error)}; try --to pt2") from error


def input_name(graph: DeployedGraph) -> str:
    """Name the input of an ONNX file for what it takes."""
    return "inputs" if graph.pixels is None else "pixels"


def write_pt2(graph: DeployedGraph, spec: InputSpec) -> bytes:
    """Write what torch.export.load reads.

    Raises:
        ExportError: the network cannot be traced, or not be written.
    """
    program, buffer = trace(graph, spec), io.BytesIO()
    try:
        with hushed():
            torch.export.save(program, buffer)
    except Exception as error:
        # A tensor of a kind that is new to it makes it fail in a way of its own.
        raise ExportError(f"the network cannot be written as pt2: {first_line(error)}; try --to safetensors") from error
    return buffer.getvalue()


def write_safetensors(graph: DeployedGraph, _spec: InputSpec) -> bytes:
    """Write the weights alone."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in graph.network.state_dict().items()}
    return safetensors.torch.save(tensors, metadata={"format": "pt"})


FORMATS: dict[FormatName, Format] = {
    "onnx": Format(write=write_onnx, holds_graph=True, modules=("onnx", "onnxscript", "onnxruntime")),
    "pt2": Format(write=write_pt2, holds_graph=True),
    "safetensors": Format(write=write_safetensors, holds_graph=False),
}


def check_format(name: str) -> FormatName:
    """Give a format's name back if there is one that is called so.

    Raises:
        SettingsError: there is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    nearest = near_names(name, FORMATS, most=len(FORMATS), cutoff=0)
    raise SettingsError(f"no format is called {name!r}; there are {', '.join(nearest)}, the nearest first")


def check_installed(name: FormatName) -> None:
    """Check that all is installed that a format needs.

    Raises:
        ExtraError: something is missing.
    """
    for module in FORMATS[name].modules:
        require(module, install=f"beliefmatch[{name}]")
