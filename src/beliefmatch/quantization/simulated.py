"""What static quantisation does with a network that was trained with simulated bits."""

import logging

from torch import nn

from beliefmatch.errors import SettingsError
from beliefmatch.networks.quantization.layers import quantized_layers
from beliefmatch.networks.quantization.plan import undo_quantization

logger = logging.getLogger(__name__)

BITS = 8
"""That onnxruntime computes with."""


def without_simulation(network: nn.Module) -> nn.Module:
    """Return a network whose layers simulate 8 bits, as `quantized:w8a8` does, with torch's own layers instead.

    Weights are rounded, and stay as they are in 8 bits with a scale for each channel. Ranges of activations that were
    learnt are left out: `trained_ranges` reads them before.

    Args:
        network: changed in place; others stay as they are.

    Raises:
        SettingsError: it simulates fewer bits.
    """
    layers = quantized_layers(network)
    fewest = min((min(layer.weight_bits, layer.activation_bits) for layer in layers), default=BITS)
    if fewest < BITS:
        raise SettingsError(
            f"the network simulates {fewest} bits, and onnxruntime computes static quantisation in {BITS}: an export "
            f"to onnx writes the simulation, and a student quantized:w{BITS}a{BITS} can be in {BITS} bits"
        )
    if layers:
        undo_quantization(network)
        logger.info(
            "the weights that were learnt in 8 bits stay; ranges of activations that were learnt are tried beside "
            "calibrated ones"
        )
    return network
