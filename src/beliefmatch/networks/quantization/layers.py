"""Layers that round their weights and what they get to few levels, and learn how far apart the levels are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from beliefmatch.functional.fake_quantization import fake_quantize
from beliefmatch.runs.schema.quantization_plan import QuantizedLayer

MIN_BITS, MAX_BITS = 2, 8


class FakeQuantized(nn.Module):
    """What all of these layers have besides those that they are made of. Their names of weight and bias stay."""

    weight: Tensor
    weight_log_step: nn.Parameter
    """(outputs, 1, ...): for each output channel, the logarithm of the distance of two levels of its weights."""
    input_log_step: nn.Parameter
    """(): likewise for all that the layer gets."""
    weight_bits: int
    activation_bits: int
    lowest: int
    """Number of levels of the inputs below 0, as a negative number."""

    @property
    def num_steps(self) -> int:
        """Number of distances of levels that it learns."""
        return self.weight_log_step.numel() + self.input_log_step.numel()

    def quantized_weight(self) -> Tensor:
        """Return the weights, rounded to levels that are symmetric about 0."""
        highest = highest_of_weights(self.weight_bits)
        return fake_quantize(self.weight, self.weight_log_step, -highest, highest)

    def quantized_inputs(self, inputs: Tensor) -> Tensor:
        """Return what the layer gets, rounded to its levels."""
        highest = (1 << self.activation_bits) - 1 + self.lowest
        return fake_quantize(inputs, self.input_log_step, self.lowest, highest)


class FakeQuantizedLinear(FakeQuantized, nn.Linear):
    """A linear layer in few bits."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as torch's own layers call it)
        """Compute (..., outputs) of (..., inputs)."""
        return linear(self.quantized_inputs(input), self.quantized_weight(), self.bias)


class FakeQuantizedConv1d(FakeQuantized, nn.Conv1d):
    """A convolution in few bits."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as torch's own layers call it)
        """Compute (batch, outputs, positions) of (batch, inputs, positions)."""
        return self._conv_forward(self.quantized_inputs(input), self.quantized_weight(), self.bias)


class FakeQuantizedConv2d(FakeQuantized, nn.Conv2d):
    """A convolution in few bits."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as torch's own layers call it)
        """Compute (batch, outputs, height, width) of (batch, inputs, height, width)."""
        return self._conv_forward(self.quantized_inputs(input), self.quantized_weight(), self.bias)


class FakeQuantizedConv3d(FakeQuantized, nn.Conv3d):
    """A convolution in few bits."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as torch's own layers call it)
        """Compute (batch, outputs, *positions) of (batch, inputs, *positions)."""
        return self._conv_forward(self.quantized_inputs(input), self.quantized_weight(), self.bias)


KINDS: Mapping[type[nn.Module], type[FakeQuantized]] = {
    nn.Linear: FakeQuantizedLinear,
    nn.Conv1d: FakeQuantizedConv1d,
    nn.Conv2d: FakeQuantizedConv2d,
    nn.Conv3d: FakeQuantizedConv3d,
}
"""By the very type of a layer, since one that is derived from it may use its weights in another way."""


def highest_of_weights(bits: int) -> int:
    """Return the number of levels above 0 of weights; there are as many below, so that a sign can be flipped."""
    return (1 << (bits - 1)) - 1


def can_be_quantized(layer: nn.Module) -> bool:
    """Whether a layer is of a type that can compute with few bits, and keeps its weights as they are used."""
    return type(layer) in KINDS and layer._parameters.get("weight") is not None and "forward" not in vars(layer)


def fake_quantized(layer: nn.Module, settings: QuantizedLayer) -> FakeQuantized:
    """Return a layer in few bits that shares weights and hooks with another. All steps are 1 at first.

    Args:
        layer: for which `can_be_quantized`; it stays as it is.
        settings: bits and levels.
    """
    made = KINDS[type(layer)].__new__(KINDS[type(layer)])
    made.__dict__ = {name: dict(value) if name == "_parameters" else value for name, value in vars(layer).items()}
    weight = made.weight
    channels = weight.shape[0], *(1 for _ in weight.shape[1:])
    made.weight_log_step = nn.Parameter(torch.zeros(channels, dtype=weight.dtype, device=weight.device))
    made.input_log_step = nn.Parameter(torch.zeros((), dtype=weight.dtype, device=weight.device))
    made.weight_bits, made.activation_bits = settings.weight_bits, settings.activation_bits
    made.lowest = settings.lowest
    return made


def quantized_layers(network: nn.Module) -> list[FakeQuantized]:
    """Return the layers of a network that compute with few bits."""
    return [module for module in network.modules() if isinstance(module, FakeQuantized)]


def in_32_bits(layer: FakeQuantized) -> nn.Module:
    """Return a layer of torch's own whose weights are the levels that this one rounds to; nothing rounds its inputs."""
    kind = next(kind for kind in type(layer).__mro__ if kind in KINDS)
    made: nn.Module = object.__new__(kind)
    own = {"weight_bits", "activation_bits", "lowest"}
    state: dict[str, Any] = {name: value for name, value in vars(layer).items() if name not in own}
    steps = {"weight_log_step", "input_log_step"}
    state["_parameters"] = {name: value for name, value in layer._parameters.items() if name not in steps}
    made.__dict__ = state
    with torch.no_grad():
        made.weight = nn.Parameter(layer.quantized_weight(), requires_grad=layer.weight.requires_grad)
    return made
