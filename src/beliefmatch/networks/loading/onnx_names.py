"""Generated names in an ONNX model, so that no text of the file reaches code that is made from it.

torch.fx writes names of nodes and values into Python source. An ONNX file may name them as it likes, in quotes and
brackets too. So names are replaced, what the converter can do without is dropped, and the few texts that remain, such
as a padding mode or the equation of an einsum, must be plain words.
"""

import re
from collections.abc import Iterator
from typing import Any

from beliefmatch.errors import NetworkError

HARMLESS = re.compile(r"[A-Za-z0-9_.,:+\-/@> ]*")
"""What every text in a renamed model is made of."""
DROPPED = {
    "ModelProto": ("producer_name", "producer_version", "domain", "model_version", "functions", "training_info"),
    "GraphProto": ("quantization_annotation", "sparse_initializer"),
    "TensorProto": ("external_data",),
}
"""By kind of message, what the converter can do without."""
DROPPED_EVERYWHERE = (
    "doc_string",
    "metadata_props",
    "denotation",
    "overload",
    "configuration",
    "device_configurations",
)


class OnnxNames:
    """New names for those of a model, and the way back."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        """By name in the file: of values, among them inputs, outputs and weights."""
        self.sizes: dict[str, str] = {}
        """Likewise of sizes that are free."""
        self.nodes: dict[str, str] = {}
        """By new name: what the file calls a node."""

    def value(self, name: str) -> str:
        """Return the new name of a value; empty stays empty, as it stands for a missing input."""
        return self.values.setdefault(name, f"value_{len(self.values)}") if name else ""

    def size(self, name: str) -> str:
        """Return the new name of a free size."""
        return self.sizes.setdefault(name, f"size_{len(self.sizes)}")

    def restored(self, text: str) -> str:
        """Return a message in which things are called what the file calls them."""
        theirs = {ours: name for name, ours in (*self.values.items(), *self.sizes.items())} | self.nodes
        return re.sub(r"\b[A-Za-z]\w*_\d+\b", lambda found: theirs.get(found[0], found[0]), text)


def rename(model: Any, *, name: str) -> OnnxNames:
    """Rename all in a model, in place.

    Args:
        model: an `onnx.ModelProto` of operators that the converter knows.
        name: what to call the model in errors.

    Raises:
        NetworkError: a text that has to stay is no plain word.
    """
    names = OnnxNames()
    used = {node.domain for node in model.graph.node}
    for index in reversed(range(len(model.opset_import))):
        if model.opset_import[index].domain not in used:
            del model.opset_import[index]
    model.graph.name = "graph"
    for message in _messages(model):
        for field in (*DROPPED_EVERYWHERE, *DROPPED.get(message.DESCRIPTOR.name, ())):
            if field in message.DESCRIPTOR.fields_by_name:
                message.ClearField(field)
    for message in _messages(model):
        _rename_message(message, names)
    for index, node in enumerate(model.graph.node):
        names.nodes[f"{node.op_type}_{index}"] = node.name
        node.name = f"{node.op_type}_{index}"
    _check_texts(model, name)
    return names


def _rename_message(message: Any, names: OnnxNames) -> None:
    match message.DESCRIPTOR.name:
        case "ValueInfoProto" | "TensorProto":
            message.name = names.value(message.name)
        case "NodeProto":
            for texts in (message.input, message.output):
                texts[:] = [names.value(text) for text in texts]
        case "Dimension" if message.dim_param:
            message.dim_param = names.size(message.dim_param)


def _check_texts(model: Any, name: str) -> None:
    """Refuse a model with any text that is no plain word, wherever it stands: values of tensors are no texts."""
    for message in _messages(model):
        for field, value in message.ListFields():
            is_text = field.type == field.TYPE_STRING or (message.DESCRIPTOR.name, field.name) in TEXTS_AS_BYTES
            if not is_text:
                continue
            for each in [value] if isinstance(value, str | bytes) else value:
                text = each.decode("latin-1") if isinstance(each, bytes) else each
                if not HARMLESS.fullmatch(text):
                    raise NetworkError(f"{name} is refused: {text[:60]!r} in it is no plain word, and may run code")


TEXTS_AS_BYTES = (("AttributeProto", "s"), ("AttributeProto", "strings"), ("TensorProto", "string_data"))


def _messages(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all that lie in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner)
