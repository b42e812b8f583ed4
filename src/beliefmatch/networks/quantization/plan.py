"""Making a plan of few bits for a network, applying it, and undoing it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, the_nearest
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.quantization.layers import (
    MAX_BITS,
    MIN_BITS,
    FakeQuantized,
    can_be_quantized,
    fake_quantized,
    highest_of_weights,
    in_32_bits,
    quantized_layers,
)
from beliefmatch.networks.quantization.steps import choose_log_steps, lowest_of_inputs, sample_values
from beliefmatch.runs.reading import MAX_CHARACTERS, show
from beliefmatch.runs.schema.quantization_plan import QuantizationPlan, QuantizedLayer

CARRIED = "_quantization_plan"
"""Attribute of a network to which a plan was applied: that plan."""
BITS_AT_THE_ENDS, NUM_ENDS = 8, 2
"""Bits of the first and of the last layer, as Esser et al. 2020 have them. Where there are no others, they have what is
asked for."""


def quantize_layers(
    network: nn.Module, inputs: Tensor, *, weight_bits: int, activation_bits: int, num_outputs: int
) -> None:
    """Make the layers of a network compute with few bits, in place; of three or more the first and the last with 8.

    Args:
        network: returns anything.
        inputs: (batch, *shape), which the first steps are chosen by.
        weight_bits: of all layers but the first and the last.
        activation_bits: likewise.
        num_outputs: that the architecture is made with.

    Raises:
        NetworkError: no layer can compute with few bits.
    """
    seen = _observe_inputs(network, inputs)
    if not seen:
        raise NetworkError(
            f"nothing in {type(network).__name__} can compute with few bits: expected modules nn.Linear, nn.Conv1d, "
            "nn.Conv2d or nn.Conv3d that run in its pass; programs such as .onnx and .pt2 files have none. "
            "beliefmatch quantize MODEL needs no modules"
        )
    layers: list[QuantizedLayer] = []
    for position, (name, values) in enumerate(seen.items()):
        is_end = len(seen) > NUM_ENDS and position in (0, len(seen) - 1)
        bits = max(BITS_AT_THE_ENDS, activation_bits) if is_end else activation_bits
        layers.append(
            QuantizedLayer(
                name=name,
                weight_bits=max(BITS_AT_THE_ENDS, weight_bits) if is_end else weight_bits,
                activation_bits=bits,
                lowest=lowest_of_inputs(values, bits),
            )
        )
    apply_quantization(network, QuantizationPlan(num_outputs=num_outputs, layers=tuple(layers)))
    for name, values in seen.items():
        _set_steps(network.get_submodule(name), values)


def apply_quantization(network: nn.Module, plan: QuantizationPlan) -> None:
    """Make the layers that a plan names compute with few bits, in place; steps are 1. The plan may be anybody's.

    Raises:
        NetworkError: it does not fit the network.
    """
    modules = dict(network.named_modules())
    if len({layer.name for layer in plan.layers}) < len(plan.layers):
        raise NetworkError("the plan names a layer twice")
    made: dict[nn.Module, nn.Module] = {}
    for each in plan.layers:
        layer = modules.get(each.name)
        if layer is None or not each.name or not can_be_quantized(layer):
            why = "is not in the network" if layer is None else "is of a type that cannot compute with few bits"
            nearest = the_nearest(each.name[:MAX_CHARACTERS], modules)
            raise NetworkError(f"the plan quantises {show(each.name)}, which {why}; {nearest}")
        _check_bits(each)
        made[layer] = fake_quantized(layer, each)
    _replace(network, made)
    setattr(network, CARRIED, plan)


def quantization_of(network: nn.Module) -> QuantizationPlan | None:
    """Return the plan of few bits that was applied to a network, or to what it is a copy of; None: there was none."""
    return getattr(network, CARRIED, None)


def forget_quantization(network: nn.Module) -> None:
    """Remove the plan that a network carries; its layers stay as they are."""
    if quantization_of(network) is not None:
        delattr(network, CARRIED)


def undo_quantization(network: nn.Module) -> None:
    """Replace layers that compute with few bits by torch's own with the same rounded weights, in place."""
    _replace(network, {layer: in_32_bits(layer) for layer in quantized_layers(network)})
    forget_quantization(network)


def _observe_inputs(network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Return some of the values that each layer gets that can compute with few bits, in the order of the pass."""
    names = {module: name for name, module in network.named_modules() if name and can_be_quantized(module)}
    seen: dict[str, Tensor] = {}
    with evaluating(network), torch.no_grad(), _recording(names, seen):
        network(inputs)
    return seen


@contextmanager
def _recording(names: Mapping[nn.Module, str], seen: dict[str, Tensor]) -> Iterator[None]:
    def record(layer: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        values, name = sample_values(arguments[0] if arguments else named["input"]), names[layer]
        seen[name] = torch.cat([seen[name], values]) if name in seen else values

    handles = [layer.register_forward_pre_hook(record, with_kwargs=True) for layer in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _set_steps(layer: nn.Module, values: Tensor) -> None:
    """Choose the first steps of a layer by its weights and by values that it gets."""
    assert isinstance(layer, FakeQuantized)
    highest = highest_of_weights(layer.weight_bits)
    with torch.no_grad():
        rows = layer.weight.detach().float().flatten(1)
        layer.weight_log_step.copy_(choose_log_steps(rows, -highest, highest).view_as(layer.weight_log_step))
        most = 2**layer.activation_bits - 1 + layer.lowest
        layer.input_log_step.copy_(choose_log_steps(values.view(1, -1), layer.lowest, most)[0])


def _check_bits(layer: QuantizedLayer) -> None:
    for kind, bits in (("weight_bits", layer.weight_bits), ("activation_bits", layer.activation_bits)):
        if not MIN_BITS <= bits <= MAX_BITS:
            raise NetworkError(f"the plan has {kind} {bits} for {show(layer.name)}: expected {MIN_BITS} to {MAX_BITS}")
    if not 1 - 2**layer.activation_bits <= layer.lowest <= 0:
        raise NetworkError(
            f"the plan has lowest {layer.lowest} for {show(layer.name)}: expected {1 - 2**layer.activation_bits} to 0"
        )


def _replace(network: nn.Module, made: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules where these stand, everywhere."""
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in made:
                setattr(parent, name, made[child])
