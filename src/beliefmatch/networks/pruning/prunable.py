"""Which networks can be pruned at all, and what else would do for others."""

import torch
from torch import nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.converted import ConvertedProgram

ELSE = "a student that you name, such as one that beliefmatch inspect MODEL suggests, needs none of this"
"""What else would do."""


def check_prunable(network: nn.Module) -> None:
    """Check that a network is made of modules that can be copied and narrowed.

    Raises:
        NetworkError: it is a program.
    """
    if isinstance(network, ConvertedProgram):
        raise NetworkError(f"a program, an .onnx or .pt2 file, cannot be pruned: {ELSE}")
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
        raise NetworkError(f"a ScriptModule, as in {type(network).__name__}, cannot be pruned: {ELSE}")
