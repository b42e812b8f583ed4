"""How large the values and the graph of a model in ONNX are, before any of it is computed.

onnx can propagate the values of sizes itself (`data_prop`), but takes the memory of whatever it propagates. Here its
inference sees no weights and no values, and the few numbers that sizes are made of are computed beside it.
"""

import math
from collections.abc import Iterator
from typing import Any

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.packages import require

EXTRA = "beliefmatch[onnx]"
MAX_NUMBERS = 2**27
"""Numbers that a value within a model may have for one example."""
MAX_TOTAL = 2**31
"""Numbers that all its values together may have for one example."""
MAX_NODES = 10_000
"""Nodes that a model may have once its functions are written out. Large published models have some thousand."""
SMALL = 64
"""Numbers of a value from which sizes may be made."""
MAX_PASSES = 64
"""Times that sizes are inferred: each time what was learned makes more of them known."""
ON_SIZES = (
    *("Add", "Cast", "Ceil", "Concat", "Constant", "Div", "Flatten", "Floor", "Gather", "Identity", "Max", "Min"),
    *("Mod", "Mul", "Neg", "Pow", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Slice", "Sqrt"),
    *("Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""Operators that make sizes of sizes, and never more numbers than they are given."""


def check_num_nodes(model: Any, name: str) -> None:
    """Check that a model has not too many nodes: functions that call functions can stand for any number of them.

    Args:
        model: an `onnx.ModelProto`.
        name: what to call it in errors.

    Raises:
        NetworkError: it has.
    """
    functions = {(each.domain, each.name): each.node for each in model.functions}
    counts: dict[tuple[str, str], int] = {}

    def count(nodes: Any, depth: int) -> int:
        # The checker of onnx refuses functions that call themselves, in its newer versions.
        return sum(count_one(node, depth) for node in nodes) if depth <= len(functions) else MAX_NODES + 1

    def count_one(node: Any, depth: int) -> int:
        key = node.domain, node.op_type
        if key in functions and key not in counts:
            counts[key] = count(functions[key], depth + 1)
        return counts.get(key, 1) + sum(count(graph.node, depth) for graph in _graphs_of(node))

    try:
        found = count(model.graph.node, 0)
    except RecursionError:
        found = MAX_NODES + 1
    if found > MAX_NODES:
        raise NetworkError(f"{name} is refused: its graph has more than {MAX_NODES:,} operators")


def _graphs_of(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def check_sizes(model: Any, shape: tuple[int, ...], batch_size: int | None, name: str) -> None:
    """Check that no value of a model is huge for one example, as far as sizes follow from the file.

    Args:
        model: an `onnx.ModelProto` without functions.
        shape: of one input.
        batch_size: the one number of examples that it takes; None if it takes any.
        name: what to call it in errors.

    Raises:
        NetworkError: a value has more than `MAX_NUMBERS` numbers, or all together more than `MAX_TOTAL`.
    """
    inference = require("onnx.shape_inference", install=EXTRA)
    outline = _outline(model, (batch_size or 1, *shape))
    for _ in range(MAX_PASSES):
        try:
            graph = inference.infer_shapes(outline).graph
        # What cannot be inferred fails when it is converted, or when it runs.
        except Exception:
            return
        values = (*graph.value_info, *graph.output)
        numbers = [math.prod(max(size.dim_value, 1) for size in each.type.tensor_type.shape.dim) for each in values]
        _check_numbers("a value in it has", max(numbers, default=0), MAX_NUMBERS * (batch_size or 1), name)
        _check_numbers("the values in it have", sum(numbers), MAX_TOTAL * (batch_size or 1), name)
        kinds = {value.name: value.type.tensor_type for value in (*values, *graph.input)}
        try:
            if not _learn(outline, kinds):
                return
        # Damaged weights fail in any way, and then when they are converted.
        except Exception:
            return


def _check_numbers(what: str, numbers: int, most: int, name: str) -> None:
    if numbers > most:
        raise NetworkError(f"{name} is refused: {what} {numbers:,} numbers, expected at most {most:,}")


def _outline(model: Any, batch: tuple[int, ...]) -> Any:
    """Return a copy of a model that holds the types of its weights in their place, for a batch of known shape."""
    onnx = require("onnx", install=EXTRA)
    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    weights = {weight.name for weight in model.graph.initializer}
    outline.graph.name = model.graph.name
    outline.graph.node.extend(model.graph.node)
    outline.graph.output.extend(model.graph.output)
    for value in outline.graph.output:
        # What a file says of its own sizes may be wrong.
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    for weight in model.graph.initializer:
        if math.prod(weight.dims) <= SMALL:
            outline.graph.initializer.append(weight)
        else:
            kind = onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
            outline.graph.input.append(kind)
    for value in model.graph.input:
        if value.name not in weights:
            kind = onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, batch)
            outline.graph.input.append(kind)
    return outline


def _learn(outline: Any, kinds: dict[str, Any]) -> bool:
    """Replace, in place, nodes that give sizes by what they give; whether there were any."""
    numpy_helper = require("onnx.numpy_helper", install=EXTRA)
    known = {weight.name: numpy_helper.to_array(weight) for weight in outline.graph.initializer}
    given = {value.name for value in outline.graph.output}
    kept = []
    for node in outline.graph.node:
        values = None if given.intersection(node.output) else _compute(node, known, kinds)
        if values is None:
            kept.append(node)
        else:
            known[node.output[0]] = values
            outline.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    is_new = len(kept) < len(outline.graph.node)
    # A slice of protobuf's nodes cannot be assigned.
    copied = [type(node).FromString(node.SerializeToString()) for node in kept] if is_new else []
    if is_new:
        del outline.graph.node[:]
        outline.graph.node.extend(copied)
    return is_new


def _compute(node: Any, known: dict[str, Any], kinds: dict[str, Any]) -> Any:
    """Compute what a node gives, where that is a few numbers that follow from the file; None where it is not."""
    np = require("numpy", install=EXTRA)
    if node.op_type in ("Shape", "Size") and node.input[0] in kinds:
        sizes = [size.dim_value if size.HasField("dim_value") else None for size in kinds[node.input[0]].shape.dim]
        if None in sizes or not kinds[node.input[0]].HasField("shape"):
            return None
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        whole = np.array(sizes, np.int64)
        return whole[bounds.get("start", 0) : bounds.get("end")] if node.op_type == "Shape" else whole.prod()
    if node.op_type not in ON_SIZES or len(node.output) != 1 or not all(each in known for each in node.input if each):
        return None
    evaluator = require("onnx.reference", install=EXTRA).ReferenceEvaluator
    try:
        (values,) = evaluator(node).run(None, {each: known[each] for each in node.input if each})
    # Damaged operators fail in any way: torch says what is wrong with them.
    except Exception:
        return None
    is_small = isinstance(values, np.ndarray | np.generic) and values.size <= SMALL and values.dtype.kind in "biuf"
    return np.asarray(values) if is_small else None
