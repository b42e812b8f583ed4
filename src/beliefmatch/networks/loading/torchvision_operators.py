"""What torchvision needs beside a CPU build of torch, where its wheel from PyPI cannot load its own operators.

That wheel is built for the CUDA build of torch. Beside another its compiled operators do not load, and its import fails
since it looks for two of them in vain; so does the import of timm, onnx2torch and parts of transformers. Classifiers
use none of them: defined by name alone they let the import pass, and whoever calls one gets torch's own error.
"""

import contextlib
import importlib.util
from pathlib import Path

import torch

NEED_TORCHVISION = ("torchvision", "timm", "onnx2torch", "transformers")
"""Packages that import torchvision."""
OPERATORS = ("nms", "qnms")
DEFINED: list[torch.library.Library] = []
"""What was defined: it would go with the last reference to it."""


def define_missing_operators() -> None:
    """Define the operators of torchvision that its import looks for, where its own cannot be loaded."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or DEFINED:
        return
    for library in Path(found.origin).parent.glob("_C*.so"):
        with contextlib.suppress(OSError):
            torch.ops.load_library(library)
    missing = [name for name in OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        DEFINED.append(torch.library.Library("torchvision", "FRAGMENT"))
    for name in missing:
        DEFINED[0].define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
