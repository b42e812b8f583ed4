"""Which kernels a GPU takes: the fastest, or those that give the same bits each time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from beliefmatch.errors import SettingsError
from beliefmatch.setting_names import Setting

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable by which cuBLAS is told to keep to one workspace for each stream. It reads it once."""
WORKSPACES = (":4096:8", ":16:8")
"""Values with which its results are the same each time."""


@contextmanager
def deterministic_kernels(device_type: str) -> Iterator[None]:
    """Make torch use its deterministic algorithms until the block ends; where it has none, its warning says so.

    Args:
        device_type: kind of device of the run.

    Raises:
        SettingsError: cuBLAS, which a CUDA device needs, was not told to be deterministic.
    """
    if device_type == "cuda" and os.environ.get(WORKSPACE) not in WORKSPACES:
        raise SettingsError(
            f"{Setting('deterministic', value=True)} needs {WORKSPACE}={WORKSPACES[0]} in the environment, before "
            "CUDA is used: set it and start again"
        )
    before, only_warned = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    timed = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    # Kernels that are timed first can be others in the next process.
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = timed
        torch.use_deterministic_algorithms(mode=before, warn_only=only_warned)


@contextmanager
def fastest_kernels() -> Iterator[None]:
    """Make cuDNN time its kernels in the first rounds and keep the fastest, until the block ends."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
