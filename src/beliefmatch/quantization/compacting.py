"""A smaller ONNX file of the same 8-bit graph: short names for what only scales, and each zero once."""

from itertools import count
from typing import TYPE_CHECKING

from beliefmatch.export.onnx import forget_origin

if TYPE_CHECKING:
    import onnx

SCALING = ("QuantizeLinear", "DequantizeLinear")
"""Operators that onnxruntime's quantisation adds: (values, scale, zero point)."""


def compact(model: "onnx.ModelProto") -> None:
    """Remove from an ONNX file, in place, what onnxruntime does not need to run it; it computes the same.

    In a small network names and sizes of tensors take as many bytes as a tenth of its weights. Nodes with weights, and
    the weights, keep their names.

    Args:
        model: in 8 bits, its scales beside its operators (QDQ).
    """
    graph = model.graph
    forget_origin(graph)
    del graph.value_info[:], model.metadata_props[:]
    used = {node.domain for node in graph.node}
    for position in reversed(range(len(model.opset_import))):
        if model.opset_import[position].domain not in used:
            del model.opset_import[position]
    # Graphs within nodes may use names of this one.
    if not any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        _rename(graph, _equal_zeros(graph))
        _rename(graph, _short_names(graph))


def _equal_zeros(graph: "onnx.GraphProto") -> dict[str, str]:
    """Remove zero points that are there already, in place, and return by what name each is found."""
    zeros = {node.input[2] for node in graph.node if node.op_type in SCALING and len(node.input) > 2}
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for position in reversed(range(len(graph.initializer))):
        each = graph.initializer[position]
        if each.name not in zeros:
            continue
        values = type(each)()
        values.CopyFrom(each)
        values.ClearField("name")
        kept = first.setdefault(values.SerializeToString(), each.name)
        if kept != each.name:
            found[each.name] = kept
            del graph.initializer[position]
    return found


def _short_names(graph: "onnx.GraphProto") -> dict[str, str]:
    """Return short names for scales, zero points and what is scaled; nodes that scale lose theirs, in place."""
    known = {name for node in graph.node for name in (*node.input, *node.output)}
    kept = {each.name for each in (*graph.input, *graph.output)}
    short = (each for each in map("q{:x}".format, count()) if each not in known)
    found: dict[str, str] = {}
    for node in graph.node:
        if node.op_type in SCALING:
            node.ClearField("name")
            for name in (*node.input[1:], *node.output):
                if name and name not in kept and name not in found:
                    found[name] = next(short)
    return found


def _rename(graph: "onnx.GraphProto", names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for each in graph.initializer:
        each.name = names.get(each.name, each.name)
