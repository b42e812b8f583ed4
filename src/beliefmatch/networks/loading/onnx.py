"""An ONNX model as a teacher: converted by onnx2torch into a network of torch's modules."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import AbstractProgramFile, ConvertedProgram, ProgramInput, read_sizes
from beliefmatch.networks.loading.onnx_check import Converted, check_conversion
from beliefmatch.networks.loading.onnx_compatibility import EXTRA, simplify
from beliefmatch.networks.loading.onnx_names import OnnxNames, rename
from beliefmatch.networks.loading.onnx_sizes import check_num_nodes, check_sizes
from beliefmatch.networks.loading.onnx_tied_weights import tie_weights
from beliefmatch.networks.loading.packages import quiet, require
from beliefmatch.networks.loading.suggestions import near_paths
from beliefmatch.networks.unsupported import SCIKIT_LEARN, SEVERAL_INPUTS, TOKENS

SUFFIX = ".onnx"
FLOAT32 = 1
INTEGERS = (6, 7)
SCIKIT_LEARN_DOMAIN = "ai.onnx.ml"
TYPES = {10: "float16", 11: "float64", 16: "bfloat16"}
"""Numbers of types, as ONNX has them."""


@dataclass(frozen=True, kw_only=True)
class OnnxModel(AbstractProgramFile):
    """A file in ONNX, with its weights in it or beside it."""

    def load(self, spec: InputSpec) -> nn.Module:
        """Load the model, converted to torch's modules."""
        model = self._read(with_weights=True)
        taken = _input_of(model, self.architecture)
        taken.check(spec, name=self.architecture)
        written = [node.op_type for node in model.graph.node]
        with quiet():
            program, translated, names = _convert(model, spec.shape, taken.batch_size, self.architecture)
        outputs = [output.name for output in model.graph.output]
        named = outputs if "logits" in outputs and len(outputs) > 1 else None
        operators = _operators(program, translated)
        tie_weights(program, translated)
        network = ConvertedProgram(
            program.eval(), batch_size=taken.batch_size, operators=operators, name=self.architecture, outputs=named
        )
        converted = Converted(
            name=self.architecture,
            file=self.architecture,
            program=network.program,
            translated=translated,
            names=[names.nodes[node.name] for node in translated.graph.node],
            operators=written,
        )
        check_conversion(converted, spec.shape, taken.batch_size)
        return network

    def known_inputs(self) -> InputSpec | None:
        """Return the shape of the model's input, where all of it but the batch is fixed."""
        return _input_of(self._read(with_weights=False), self.architecture).spec

    def _read(self, *, with_weights: bool) -> Any:
        path = Path(self.architecture)
        # A path that is wrong stays so whatever is installed.
        if not path.is_file():
            raise NetworkError(f"no file at {path}{near_paths(path)}")
        onnx = require("onnx", install=EXTRA)
        try:
            model = onnx.load(str(path), load_external_data=with_weights)
            if with_weights:
                onnx.checker.check_model(model)
        except Exception as error:
            # A damaged file, or one whose weights are missing, can fail in any way.
            raise NetworkError(f"{path} is no ONNX model, or is damaged: {first_line(error)}") from error
        if not model.graph.node:
            raise NetworkError(f"{path} is no ONNX model: it holds no graph")
        return model


def _input_of(model: Any, name: str) -> ProgramInput:
    """Return what a model takes.

    Raises:
        NetworkError: it takes something else than one batch of float32.
    """
    weights = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if any(node.domain == SCIKIT_LEARN_DOMAIN for node in model.graph.node):
        raise NetworkError(f"{name}: {SCIKIT_LEARN}")
    if len(inputs) != 1:
        raise NetworkError(f"{name} takes {len(inputs)} inputs, expected one: a batch; {SEVERAL_INPUTS}")
    kind = inputs[0].type.tensor_type
    if kind.elem_type in INTEGERS:
        raise NetworkError(f"{name} takes integers, expected float32; {TOKENS}")
    if kind.elem_type != FLOAT32:
        raise NetworkError(f"{name} takes {TYPES.get(kind.elem_type, 'other values')}, expected float32")
    return read_sizes([size.dim_value or None for size in kind.shape.dim], name=name)


def _convert(model: Any, shape: tuple[int, ...], batch_size: int | None, name: str) -> tuple[Any, Any, OnnxNames]:
    """Convert a model; return the graph, the model in the form that it was converted from, and its new names."""
    converter = require("onnx2torch", install=EXTRA)
    check_num_nodes(model, name)
    simple = simplify(model, name=name)
    names = rename(simple, name=name)
    check_num_nodes(simple, name)
    check_sizes(simple, shape, batch_size, name)
    try:
        return converter.convert(simple), simple, names
    except Exception as error:
        # Its converters fail in their own ways on attributes that they do not know.
        what = names.restored(f"{type(error).__name__}: {first_line(error)}")
        raise NetworkError(f"{name} cannot be converted: {_failing_operator(simple, error)}{what}") from error


def _failing_operator(model: Any, error: Exception) -> str:
    """Return which operator's own converter fails as the whole conversion did; empty where none does."""
    registry = require("onnx2torch.node_converters.registry", install=EXTRA)
    infer = require("onnx2torch.utils.safe_shape_inference", install=EXTRA).safe_shape_inference
    # Converters of poolings read the shapes between operators.
    graph = require("onnx2torch.onnx_graph", install=EXTRA).OnnxGraph(infer(model).graph)
    versions = {opset.domain: opset.version for opset in model.opset_import}
    for node in graph.nodes.values():
        version = versions[node.domain]
        convert = registry.get_converter(domain=node.domain, operation_type=node.operation_type, version=version)
        try:
            convert(node, graph)
        except Exception as found:
            # Others fail for want of what the converter of the whole model gives them.
            if (type(found), str(found)) == (type(error), str(error)):
                return f"its operator {node.operation_type}: "
    return ""


def _operators(program: Any, model: Any) -> dict[str, str]:
    """Return the operator of each node of the converted graph: both have the same order."""
    nodes = [node for node in program.graph.nodes if node.op == "call_module"]
    return {node.name: origin.op_type for node, origin in zip(nodes, model.graph.node, strict=True)}
