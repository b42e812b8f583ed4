"""Upcasting 16-bit floats, so that sums of many terms are exact enough."""

import torch
from torch import Tensor


def upcast(tensor: Tensor) -> Tensor:
    """Return a tensor of 16-bit floats as float32, and any other as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
