"""Narrowing layers to the channels that are kept, and applying a plan of it to a network; see `runs.schema.plan`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from beliefmatch.errors import NetworkError, the_nearest
from beliefmatch.runs.reading import MAX_CHARACTERS, show
from beliefmatch.runs.schema.plan import PrunedLayer, PruningPlan

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CARRIED = "_pruning_plan"
"""Attribute of a network to which a plan was applied: that plan."""


@dataclass(frozen=True, kw_only=True)
class LayerSizes:
    """Channels of a layer."""

    outputs: int
    inputs: int | None
    """None: they are the outputs, as of batch-norm and depthwise convolutions."""


def layer_sizes(layer: nn.Module) -> LayerSizes | None:
    """Return the channels of a layer that can be narrowed; None: it is of another type, or computes its weights."""
    if isinstance(layer, (*CONVOLUTIONS, nn.Linear)) and layer._parameters.get("weight") is None:
        return None
    if isinstance(layer, nn.Linear):
        return LayerSizes(outputs=layer.out_features, inputs=layer.in_features)
    if isinstance(layer, CONVOLUTIONS):
        if layer.groups == 1:
            return LayerSizes(outputs=layer.out_channels, inputs=layer.in_channels)
        is_depthwise = layer.groups == layer.in_channels == layer.out_channels
        return LayerSizes(outputs=layer.out_channels, inputs=None) if is_depthwise else None
    if isinstance(layer, _BatchNorm):
        return LayerSizes(outputs=layer.num_features, inputs=None)
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) == 1:
        return LayerSizes(outputs=layer.normalized_shape[0], inputs=None)
    if isinstance(layer, nn.PReLU) and layer.num_parameters > 1:
        return LayerSizes(outputs=layer.num_parameters, inputs=None)
    return None


def narrow(layer: nn.Module, outputs: Sequence[int] | None, inputs: Sequence[int] | None) -> None:
    """Keep these channels of a layer and no others, in place.

    Args:
        layer: of which `layer_sizes` knows the sizes.
        outputs: positions of the output channels that are kept, in their order. None: all.
        inputs: likewise of input channels.
    """
    for name, parameter in list(layer.named_parameters(recurse=False)):
        kept = _select(parameter.detach(), outputs, inputs if name == "weight" else None)
        setattr(layer, name, nn.Parameter(kept, requires_grad=parameter.requires_grad))
    for name, buffer in list(layer.named_buffers(recurse=False)):
        if buffer.dim() == 1:
            setattr(layer, name, _select(buffer, outputs, None))
    _set_sizes(layer, None if outputs is None else len(outputs), None if inputs is None else len(inputs))


def _select(tensor: Tensor, outputs: Sequence[int] | None, inputs: Sequence[int] | None) -> Tensor:
    for dim, kept in ((0, outputs), (1, inputs)):
        if kept is not None:
            tensor = tensor.index_select(dim, torch.tensor(kept, device=tensor.device))
    return tensor


def _set_sizes(layer: nn.Module, outputs: int | None, inputs: int | None) -> None:
    """Set the attributes in which a layer keeps its sizes."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = outputs or layer.out_features, inputs or layer.in_features
    elif isinstance(layer, _ConvNd) and layer.groups > 1:
        layer.out_channels = layer.in_channels = layer.groups = outputs or layer.groups
    elif isinstance(layer, _ConvNd):
        layer.out_channels, layer.in_channels = outputs or layer.out_channels, inputs or layer.in_channels
    elif outputs is None:
        return
    elif isinstance(layer, _BatchNorm):
        layer.num_features = outputs
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = (outputs,)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = outputs


def apply_plan(network: nn.Module, plan: PruningPlan) -> None:
    """Drop the blocks and narrow the layers that a plan names, in place. The plan may be anybody's.

    Raises:
        NetworkError: it does not fit the network.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    for name in plan.dropped:
        if not name or name not in modules:
            raise NetworkError(f"the plan drops {show(name)}, which is not in the network; {_nearest(name, modules)}")
        _replace(network, name, nn.Identity())
    modules = dict(network.named_modules(remove_duplicate=False))
    if len({layer.name for layer in plan.layers}) < len(plan.layers):
        raise NetworkError("the plan names a layer twice")
    for each in plan.layers:
        layer = modules.get(each.name)
        sizes = None if layer is None else layer_sizes(layer)
        if layer is None or sizes is None:
            why = "is not in the network" if layer is None else "is of a type that cannot be narrowed"
            raise NetworkError(f"the plan narrows {show(each.name)}, which {why}; {_nearest(each.name, modules)}")
        _check_positions(each, sizes)
        narrow(layer, each.outputs, each.inputs)
    setattr(network, CARRIED, plan)


def plan_of(network: nn.Module) -> PruningPlan | None:
    """Return the plan that was applied to a network, or to what it is a copy of; None: there was none."""
    return getattr(network, CARRIED, None)


def forget_plan(network: nn.Module) -> None:
    """Remove the plan that a network carries, so that nothing of ours is left in it."""
    if plan_of(network) is not None:
        delattr(network, CARRIED)


def _check_positions(layer: PrunedLayer, sizes: LayerSizes) -> None:
    if (layer.num_outputs, layer.num_inputs) != (sizes.outputs, sizes.inputs):
        raise NetworkError(
            f"the plan narrows {show(layer.name)} of {layer.num_outputs} outputs and {layer.num_inputs or 'no'} inputs "
            f"of their own; the network's has {sizes.outputs} and {sizes.inputs or 'none'}"
        )
    for kind, kept, size in (("outputs", layer.outputs, sizes.outputs), ("inputs", layer.inputs, sizes.inputs or 0)):
        if kept is None:
            continue
        rises = all(first < second for first, second in pairwise(kept))
        if not (kept and rises and kept[0] >= 0 and kept[-1] < size):
            raise NetworkError(
                f"the plan keeps {kind} of {show(layer.name)} that it does not have: expected positions from 0 to "
                f"{size - 1} in rising order"
            )


def _nearest(name: str, modules: Iterable[str]) -> str:
    return the_nearest(name[:MAX_CHARACTERS], modules)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
