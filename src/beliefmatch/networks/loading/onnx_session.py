"""Sessions of onnxruntime, which run ONNX files on the CPU."""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WARNINGS, FATAL = 2, 4
"""Levels of onnxruntime's own log: from which on it writes."""


def start_session(model: str | bytes, *, log_level: int = WARNINGS, optimised: bool = True) -> "InferenceSession":
    """Load an ONNX file with onnxruntime on the CPU, with as many threads as torch has.

    Args:
        model: path or content of the file.
        log_level: of onnxruntime's own log.
        optimised: whether onnxruntime may fuse and replace operators.

    Raises:
        ImportError: onnxruntime is not installed.
        Exception: it cannot run the model, of any kind.
    """
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.log_severity_level = log_level
    options.intra_op_num_threads = torch.get_num_threads()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
