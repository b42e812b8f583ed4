"""Rewriting a model in ONNX with operators that the converter knows, computing the same.

onnx2torch knows operators as ONNX's opset 17 has them. Most of what later versions changed are the types that an
operator takes; what else they changed is undone here, where it can be.
"""

from collections.abc import Container, Iterator
from typing import Any

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.packages import require

EXTRA = "beliefmatch[onnx]"
NEWEST = 17
"""Version of ONNX's operators that the converter knows."""
NESTED = 3
"""How deeply operators that are defined by others may lie in one another."""
MAX_SPELT_OUT = 500
"""Nodes that are spelt out in simpler operators: onnx takes seconds for so many, and four times as long for twice."""
SMALL = 64
"""Largest sum of sizes of a constant that configures an operator."""
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul")
"""Operators of models whose numbers have few bits."""
AXES_AS_INPUT = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
"""Reductions whose axes were an attribute before opset 18."""
ADDED = {
    "Pad": {"inputs": 3},
    "Resize": {"attributes": ("antialias", "axes", "keep_aspect_ratio_policy")},
    "AveragePool": {"attributes": ("dilations",)},
    "ScatterND": {"attributes": ("reduction",)},
    "Split": {"attributes": ("num_outputs",)},
}
"""What later versions added to operators, and earlier ones cannot say: more inputs, or attributes."""


def simplify(model: Any, *, name: str) -> Any:
    """Return a model of operators that the converter knows.

    Args:
        model: an `onnx.ModelProto`, changed in place.
        name: what to call it in errors.

    Raises:
        NetworkError: an operator of it is unknown in every version that it could be translated to.
    """
    inliner, is_newer = require("onnx.inliner", install=EXTRA), _opset(model).version > NEWEST
    if model.functions:
        model = inliner.inline_local_functions(model)
    for _ in range(NESTED):
        # What ONNX defines by simpler operators, such as Gelu, is spelt out in them.
        if unknown := unknown_operators(model):
            _check_num_spelt_out(model, unknown, name)
            _write_defaults(model, unknown)
            model = inliner.inline_selected_functions(model, list(unknown), inline_schema_functions=True)
    _fold_copies(model)
    _split_by_sizes(model)
    problems = [*_relabel(model)]
    model = _translate(model)
    unknown = unknown_operators(model)
    problems += unknown.values()
    if problems:
        hint = f"; if they are only too new, export the model with opset {NEWEST}" if is_newer else ""
        if any(operator in QUANTIZED for _, operator in unknown):
            hint = "; it is quantised already, so name the model in 32 bits that it was made of"
        raise NetworkError(
            f"{name} has operators that cannot be made differentiable: {', '.join(dict.fromkeys(problems))}{hint}"
        )
    _drop_empty_axes(model)
    _name_nodes(model)
    return model


def _check_num_spelt_out(model: Any, unknown: dict[tuple[str, str], str], name: str) -> None:
    """Raise an error where too many nodes would be spelt out."""
    if sum((node.domain, node.op_type) in unknown for node in model.graph.node) > MAX_SPELT_OUT:
        hint = f"; export the model with opset {NEWEST}" if _opset(model).version > NEWEST else ""
        raise NetworkError(
            f"{name} is refused: more than {MAX_SPELT_OUT} of its operators, {', '.join(unknown.values())}, would have "
            f"to be written in simpler ones{hint}"
        )


def _name_nodes(model: Any) -> None:
    """Rename nodes in place so that all names differ: the converter loses one of two that are equal."""
    seen: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_at_{index}"
        seen.add(node.name)


def unknown_operators(model: Any) -> dict[tuple[str, str], str]:
    """Return operators of a model that the converter does not know: by domain and type, what to call each."""
    registry = require("onnx2torch.node_converters.registry", install=EXTRA)
    versions = {opset.domain: opset.version for opset in model.opset_import}
    unknown = {}
    for node in model.graph.node:
        version = versions.get(node.domain, 1)
        try:
            registry.get_converter(domain=node.domain, operation_type=node.op_type, version=version)
        except NotImplementedError:
            domain = f"{node.domain}." if node.domain else ""
            unknown[node.domain, node.op_type] = f"{domain}{node.op_type} (opset {version})"
    return unknown


def _write_defaults(model: Any, operators: Container[tuple[str, str]]) -> None:
    """Write, in place, the attributes that nodes of these operators leave out: spelt out, an operator lacks them."""
    defs, versions = require("onnx.defs", install=EXTRA), {each.domain: each.version for each in model.opset_import}
    for node in model.graph.node:
        key = node.domain, node.op_type
        if key not in operators or not defs.has(node.op_type, domain=node.domain):
            continue
        schema = defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
        written = {attribute.name for attribute in node.attribute}
        defaults = [each.default_value for name, each in schema.attributes.items() if name not in written]
        node.attribute.extend(default for default in defaults if default.name)


def _opset(model: Any) -> Any:
    return next(opset for opset in model.opset_import if opset.domain in ("", "ai.onnx"))


def _relabel(model: Any) -> Iterator[str]:
    """Write newer operators as opset 17 has them, in place, and name those that it does not have like this."""
    # onnxscript's converter only goes up, and onnx's has no way down for some operators, such as Split.
    version = _opset(model).version
    if version <= NEWEST:
        return
    constants = _constants(model)
    for node in model.graph.node:
        added = ADDED.get(node.op_type, {})
        inputs, names = len([*filter(None, node.input)]), {attribute.name for attribute in node.attribute}
        if inputs > added.get("inputs", inputs) or names.intersection(added.get("attributes", ())):
            yield f"{node.op_type} (opset {version})"
        if node.op_type.removeprefix("Reduce") in AXES_AS_INPUT and inputs == 2:
            axes = constants.get(node.input[1])
            if axes is None:
                yield f"{node.op_type} (opset {version}) with axes that depend on values"
                continue
            del node.input[1]
            helper = require("onnx.helper", install=EXTRA)
            node.attribute.append(helper.make_attribute("axes", [int(axis) for axis in axes.flatten()]))
    _opset(model).version = NEWEST


def _translate(model: Any) -> Any:
    """Translate an old model into a newer version of ONNX, where the converter does not know its operators."""
    versions = require("onnx.version_converter", install=EXTRA)
    for opset in range(max(13, _opset(model).version + 1), NEWEST + 1) if unknown_operators(model) else ():
        try:
            translated = versions.convert_version(model, opset)
        except Exception:  # What has no equal in a newer version ends the search: the caller names it.
            break
        if not unknown_operators(translated):
            return translated
    return model


def _split_by_sizes(model: Any) -> None:
    """Rewrite, in place, splits into a number of parts as splits by sizes, where the size of the axis is known."""
    nodes = [node for node in model.graph.node if node.op_type == "Split" and len(node.input) == 1]
    if not nodes:
        return
    shapes = require("onnx.shape_inference", install=EXTRA).infer_shapes(model).graph
    known = {value.name: value.type.tensor_type.shape.dim for value in (*shapes.value_info, *shapes.input)}
    for node in nodes:
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        sizes, axis = known.get(node.input[0], ()), attributes.get("axis", 0)
        if "num_outputs" in attributes and -len(sizes) <= axis < len(sizes) and sizes[axis].dim_value:
            whole, count = sizes[axis].dim_value, attributes["num_outputs"]
            part = -(-whole // count)
            _set_split_sizes(model, node, [part] * (count - 1) + [whole - part * (count - 1)])


def _set_split_sizes(model: Any, node: Any, sizes: list[int]) -> None:
    onnx = require("onnx", install=EXTRA)
    name = f"{node.output[0]}/sizes"
    model.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(sizes)], sizes))
    node.input.append(name)
    _drop_attribute(node, "num_outputs")


def _drop_attribute(node: Any, name: str) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _constants(model: Any) -> dict[str, Any]:
    """Return what a model holds as constants, as arrays of numpy."""
    numpy_helper = require("onnx.numpy_helper", install=EXTRA)
    written = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                written[node.output[0]] = attribute.t
    # Weights are left alone: only small ones configure an operator.
    return {name: numpy_helper.to_array(tensor) for name, tensor in written.items() if sum(tensor.dims) <= SMALL}


def _fold_copies(model: Any) -> None:
    """Remove copies of weights, in place; nodes that read a copy read the weight instead."""
    weights = {weight.name: weight.name for weight in model.graph.initializer}
    given = {output.name for output in model.graph.output}
    copies = [
        node
        for node in model.graph.node
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in given
    ]
    for node in copies:
        weights[node.output[0]] = weights[node.input[0]]
        model.graph.node.remove(node)
    for node in model.graph.node:
        for index, read in enumerate(node.input):
            node.input[index] = weights.get(read, read)


def _drop_empty_axes(model: Any) -> None:
    """Remove, in place, the attribute `allowzero` of shapes that have no zero."""
    constants = _constants(model)
    for node in model.graph.node:
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size and shape.all():
            _drop_attribute(node, "allowzero")
