"""Versions of what computes, as run.json and results of benchmarks keep them."""

import importlib.metadata
import platform

PACKAGES = ("beliefmatch", "torch", "numpy", "lightning-fabric", "safetensors")
"""Whose versions decide what a run computes."""


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }
