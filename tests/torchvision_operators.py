"""What torchvision needs beside the CPU build of torch, where its wheel cannot load its own operators.

It then looks for two of them in vain when it is imported, as timm and onnx2torch do. Nothing in the tests runs them.
"""

import contextlib
import importlib.util
from pathlib import Path

import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def define_missing_operators() -> None:
    """Define the operators of torchvision that its import looks for, where its own cannot be loaded."""
    found = importlib.util.find_spec("torchvision")
    for library in Path(str(found.origin)).parent.glob("_C*.so") if found else ():
        with contextlib.suppress(OSError):
            torch.ops.load_library(library)
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            OPERATORS.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
