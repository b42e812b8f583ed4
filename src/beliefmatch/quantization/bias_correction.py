"""Bias correction (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction").

Rounded weights shift the mean of what a layer gives. The shift is the rounding error times the mean of what the layer
gets, which is measured on pseudo inputs here; the bias takes it back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from beliefmatch.networks.loading.onnx_session import start_session
from beliefmatch.quantization.static import PreparedGraph

if TYPE_CHECKING:
    import onnx

CORRECTED = ("Conv", "Gemm")
"""Operators with a bias of their own."""
BATCH = 64
Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class _Rounded:
    """A node whose weights were rounded."""

    node: "onnx.NodeProto"
    """In the graph in 32 bits."""
    error: Array
    """(outputs, inputs of a group, ...): rounded weights minus those in 32 bits."""


def correct_biases(graph: PreparedGraph, quantized: bytes, inputs: Tensor) -> PreparedGraph | None:
    """Return a graph in 32 bits whose biases take back what rounding its weights shifts.

    Args:
        graph: in 32 bits, of which the quantised one was made; it stays as it is.
        quantized: ONNX file of the same nodes with rounded weights.
        inputs: (count, *shape), what the graph takes.

    Returns:
        A copy; None where no node has rounded weights that can be corrected.
    """
    import onnx  # noqa: PLC0415

    model = type(graph.model)()
    model.CopyFrom(graph.model)
    rounded = list(_rounded_nodes(model, onnx.load_from_string(quantized)))
    if not rounded:
        return None
    means = _channel_means(model, [each.node.input[0] for each in rounded], inputs)
    initializers = _initializers(model)
    for each in rounded:
        _move_bias(model, each, _shift(each.error, means[each.node.input[0]]), initializers)
    return PreparedGraph(model=model, nodes=graph.nodes)


def _rounded_nodes(model: "onnx.ModelProto", quantized: "onnx.ModelProto") -> Iterator[_Rounded]:
    weights, rounded = _initializers(model), _initializers(quantized)
    makers = {node.output[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    by_name = {node.name: node for node in quantized.graph.node}
    for node in model.graph.node:
        twin = by_name.get(node.name)
        if node.op_type not in CORRECTED or twin is None or node.input[1] not in weights or not _is_unscaled(node):
            continue
        maker = makers.get(twin.input[1])
        if maker is None or maker.input[0] not in rounded:
            continue
        values, scale = (rounded[name].astype(np.float32) for name in maker.input[:2])
        axis = next((attribute.i for attribute in maker.attribute if attribute.name == "axis"), 1)
        spread = [1] * values.ndim
        spread[axis] = scale.size
        error = values * scale.reshape(spread if scale.size > 1 else [1] * values.ndim) - weights[node.input[1]]
        yield _Rounded(node=node, error=error if _has_outputs_first(node) else error.T)


def _is_unscaled(node: "onnx.NodeProto") -> bool:
    """Whether a product is neither scaled nor of a turned input."""
    settings = {attribute.name: attribute for attribute in node.attribute}
    scales = [settings[name].f for name in ("alpha", "beta") if name in settings]
    return all(scale == 1 for scale in scales) and not ("transA" in settings and settings["transA"].i)


def _has_outputs_first(node: "onnx.NodeProto") -> bool:
    return node.op_type == "Conv" or any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def _shift(error: Array, means: Array) -> Array:
    """Compute by how much rounding moves the mean of each output channel, (outputs,); padding is left out.

    Args:
        error: (outputs, inputs of a group, ...).
        means: (inputs,), of all groups one after the other.
    """
    outputs, size = error.shape[:2]
    groups = means.reshape(-1, size)
    group_of = np.arange(outputs) * len(groups) // outputs
    return (error.reshape(outputs, size, -1).sum(2) * groups[group_of]).sum(1)


def _channel_means(model: "onnx.ModelProto", names: Sequence[str], inputs: Tensor) -> dict[str, Array]:
    """Measure the mean of each channel of some tensors, (channels,) each."""
    import onnx  # noqa: PLC0415

    given = model.graph.input[0].name
    wanted = [name for name in dict.fromkeys(names) if name != given]
    tapped = type(model)()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted
    )
    session = start_session(tapped.SerializeToString()) if wanted else None
    sums: dict[str, Array] = {}
    for batch in inputs.split(BATCH):
        found = {given: batch.numpy()}
        if session is not None:
            found |= dict(zip(wanted, session.run(None, found), strict=True))
        for name, values in found.items():
            each = values.mean(tuple(axis for axis in range(values.ndim) if axis != 1)) * len(batch)
            sums[name] = sums[name] + each if name in sums else each
    return {name: (total / len(inputs)).astype(np.float32) for name, total in sums.items()}


def _move_bias(model: "onnx.ModelProto", rounded: _Rounded, shift: Array, initializers: Mapping[str, Array]) -> None:
    """Subtract a shift from the bias of a node, in a tensor of its own; initializers are those before any was moved."""
    import onnx  # noqa: PLC0415

    node = rounded.node
    bias = initializers.get(node.input[2]) if len(node.input) > 2 else np.zeros_like(shift)
    if bias is None:
        return
    name = f"{node.name}_corrected_bias"
    model.graph.initializer.append(onnx.numpy_helper.from_array((bias - shift).astype(np.float32), name))
    before = node.input[2] if len(node.input) > 2 else None
    del node.input[2:]
    node.input.append(name)
    if not any(before in each.input for each in model.graph.node):
        kept = [each for each in model.graph.initializer if each.name != before]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)


def _initializers(model: "onnx.ModelProto") -> dict[str, Array]:
    import onnx  # noqa: PLC0415

    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
