"""Sums of many terms in enough bits."""

import torch
from torch import Tensor


def upcast(tensor: Tensor) -> Tensor:
    """Give a tensor of 16-bit floats as float32, so that losses and statistics are exact enough; leave others alone."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
