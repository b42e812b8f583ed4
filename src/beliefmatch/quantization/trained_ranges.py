"""Ranges of activations that a student learnt while it simulated 8 bits, for onnxruntime's static quantisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from beliefmatch.networks.quantization.layers import FakeQuantized

if TYPE_CHECKING:
    import onnx

PASSING = ("Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that pick and move values: onnxruntime gives their outputs the range of their inputs."""
PREFIX, SUFFIX = "network.", ".weight"
"""What stands around the name of a layer where its weights are called in the graph."""


@dataclass(frozen=True, kw_only=True)
class TrainedRange:
    """Where the 256 levels of a tensor lie."""

    scale: float
    """Distance of two levels, above 0."""
    zero_point: int
    """Level of zero, 0 to 255."""


def trained_ranges(network: nn.Module) -> dict[str, TrainedRange]:
    """Return the ranges of what layers get that simulate few bits, by the name of the layer."""
    return {
        name: TrainedRange(scale=float(layer.input_log_step.detach().exp()), zero_point=-layer.lowest)
        for name, layer in network.named_modules()
        if isinstance(layer, FakeQuantized)
    }


def ranges_of_tensors(model: "onnx.ModelProto", trained: Mapping[str, TrainedRange]) -> dict[str, TrainedRange]:
    """Return what was learnt by the name of the tensor that it is of.

    Where several layers get the same tensor, it has the widest of their ranges. Layers whose weights the graph calls by
    another name are left out.

    Args:
        model: graph in 32 bits of the network.
        trained: by the name of the layer.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    found: dict[str, TrainedRange] = {}
    for node in model.graph.node:
        given = trained.get(node.input[1].removeprefix(PREFIX).removesuffix(SUFFIX)) if len(node.input) > 1 else None
        if given is None or not node.input[1].endswith(SUFFIX):
            continue
        name = node.input[0]
        while name in makers and makers[name].op_type in PASSING:
            name = makers[name].input[0]
        found[name] = max(found.get(name, given), given, key=lambda each: each.scale)
    return found
