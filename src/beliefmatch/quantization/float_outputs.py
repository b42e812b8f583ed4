"""Outputs in 32 bits of a graph in 8: whoever reads them compares them, and 256 levels make ties of near classes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def keep_outputs_float(graph: "onnx.GraphProto") -> None:
    """Let what computes the outputs of a quantised graph give them as it does, in place, without rounding them.

    Args:
        graph: in 8 bits, its scales beside its operators (QDQ).
    """
    for name in [each.name for each in graph.output]:
        makers = {output: node for node in graph.node for output in node.output}
        last = makers.get(name)
        rounding = makers.get(last.input[0]) if last is not None and last.op_type == "DequantizeLinear" else None
        if last is None or rounding is None or rounding.op_type != "QuantizeLinear":
            continue
        read = [each for node in graph.node for each in node.input]
        rounded = rounding.input[0]
        maker = makers.get(rounded)
        # What others read, too, keeps its name and its rounding.
        if maker is None or any(read.count(each) != 1 for each in (rounded, last.input[0])) or name in read:
            continue
        graph.node.remove(last)
        graph.node.remove(rounding)
        maker.output[list(maker.output).index(rounded)] = name
        _forget_constants(graph, {*rounding.input[1:], *last.input[1:]})


def _forget_constants(graph: "onnx.GraphProto", names: set[str]) -> None:
    """Remove constants of these names that no node reads any more."""
    unread = names.difference(name for node in graph.node for name in node.input)
    for position in reversed(range(len(graph.initializer))):
        if graph.initializer[position].name in unread:
            del graph.initializer[position]
