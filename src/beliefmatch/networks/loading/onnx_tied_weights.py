"""Weights that several operators of an ONNX model share, such as those of a layer that is used twice."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn

from beliefmatch.networks.loading.onnx_compatibility import EXTRA
from beliefmatch.networks.loading.packages import require


def tie_weights(program: fx.GraphModule, model: Any) -> None:
    """Let modules hold one parameter, in place, where the operators that they were converted from share an array.

    The converter gives a copy to each, so that shared weights would count several times.

    Args:
        program: converted from the model, its modules in the order of the model's operators.
        model: in ONNX.
    """
    to_array = require("onnx", install=EXTRA).numpy_helper.to_array
    uses = Counter(name for node in model.graph.node for name in set(node.input))
    arrays = {each.name: each for each in model.graph.initializer if uses[each.name] > 1}
    called = [node for node in program.graph.nodes if node.op == "call_module"]
    shared = [
        (node, name, torch.from_numpy(to_array(arrays[name]).copy()))
        for node, operator in zip(called, model.graph.node, strict=True)
        for name in sorted(arrays.keys() & set(operator.input))
    ]
    kept: dict[str, list[Tensor]] = {name: [] for name in arrays}
    for node, name, values in shared:
        constants = [each.target for each in node.all_input_nodes if each.op == "get_attr"]
        kept[name] += [held for each in constants if _holds(held := program.get_buffer(str(each)), values)]
    for node, name, values in shared:
        _share(program.get_submodule(str(node.target)), values, kept[name])


def _share(module: nn.Module, values: Tensor, kept: list[Tensor]) -> None:
    """Let parameters of a module that hold an array be those that are kept, or use their memory, or keep them."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        if not _holds(parameter, values):
            continue
        same = [each for each in kept if each.shape == parameter.shape and torch.equal(each, parameter)]
        if same and isinstance(same[0], nn.Parameter):
            setattr(module, name, same[0])
            continue
        if kept:
            # What is no matrix has one layout.
            parameter.data = same[0].data if same else kept[0].data.T
        kept.append(parameter)


def _holds(parameter: Tensor, values: Tensor) -> bool:
    """Whether a parameter is an array, or a matrix that the converter has transposed."""
    if parameter.numel() != values.numel():
        return False
    layouts = (values, values.T) if values.dim() == 2 else (values.reshape(parameter.shape),)
    return any(each.shape == parameter.shape and torch.equal(each, parameter) for each in layouts)
