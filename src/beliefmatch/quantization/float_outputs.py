"""Outputs in 32 bits of a graph in 8: whoever reads them compares them, and 256 levels make ties of near classes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"})
"""Operators that do the work of a network: what comes behind the last of them makes outputs of logits."""


def keep_outputs_float(graph: "onnx.GraphProto") -> None:
    """Let the last layer give its logits as it computes them, in place, and all that is made of these stay in 32 bits.

    A softmax or sigmoid is among what is made of them: probabilities in 256 levels have no logarithm where they are 0.

    Args:
        graph: in 8 bits, its scales beside its operators (QDQ).
    """
    for name in [each.name for each in graph.output]:
        makers = {output: node for node in graph.node for output in node.output}
        rounding = _rounding_of(name, makers)
        if rounding is not None:
            read = [each for node in graph.node for each in node.input]
            rounded = rounding.input[0]
            maker = makers.get(rounded)
            # What others read, too, keeps its name and its rounding.
            if maker is None or any(read.count(each) != 1 for each in (rounded, makers[name].input[0])) or name in read:
                continue
            maker.output[list(maker.output).index(rounded)] = name
            _remove(graph, [makers[name], rounding])
    makers = {output: node for node in graph.node for output in node.output}
    outputs = {each.name for each in graph.output}
    waiting, seen = [makers[name] for name in outputs if name in makers], set[str]()
    while waiting:
        node = waiting.pop()
        if node.op_type in WEIGHTED or node.output[0] in seen:
            continue
        seen.add(node.output[0])
        for position, name in enumerate(node.input):
            rounding = None if name in outputs else _rounding_of(name, makers)
            if rounding is not None:
                node.input[position] = rounding.input[0]
            if (maker := makers.get(node.input[position])) is not None:
                waiting.append(maker)
    _remove_unread(graph, outputs)


def _rounding_of(name: str, makers: "dict[str, onnx.NodeProto]") -> "onnx.NodeProto | None":
    """Return the operator that rounds a tensor which another takes back to floats; None where nothing does."""
    last = makers.get(name)
    rounding = makers.get(last.input[0]) if last is not None and last.op_type == "DequantizeLinear" else None
    return rounding if rounding is not None and rounding.op_type == "QuantizeLinear" else None


def _remove_unread(graph: "onnx.GraphProto", outputs: set[str]) -> None:
    """Remove rounding that nothing reads any more: first what takes tensors back to floats, then what rounds them."""
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        read = {name for node in graph.node for name in node.input} | outputs
        _remove(graph, [node for node in graph.node if node.op_type == kind and not read & set(node.output)])


def _remove(graph: "onnx.GraphProto", nodes: "list[onnx.NodeProto]") -> None:
    for node in nodes:
        graph.node.remove(node)
    _forget_constants(graph, {name for node in nodes for name in node.input[1:]})


def _forget_constants(graph: "onnx.GraphProto", names: set[str]) -> None:
    """Remove constants of these names that no node reads any more."""
    unread = names.difference(name for node in graph.node for name in node.input)
    for position in reversed(range(len(graph.initializer))):
        if graph.initializer[position].name in unread:
            del graph.initializer[position]
