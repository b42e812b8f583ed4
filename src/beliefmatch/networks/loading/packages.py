"""Packages that only some networks need, imported when such a network is named."""

import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from beliefmatch.errors import ExtraError, first_line
from beliefmatch.networks.loading.torchvision_operators import NEED_TORCHVISION, define_missing_operators

NOISY = ("transformers", "huggingface_hub", "timm", "torch.export", "onnx", "onnx2torch")
"""Loggers of packages whose warnings do not concern users."""
ONLY_WEIGHTS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""What makes every `torch.load` refuse to unpickle anything but weights, whatever its caller asked for."""


def require(module: str, *, install: str) -> Any:
    """Load a module of an optional package.

    Args:
        module: dotted name.
        install: what pip installs it by, such as beliefmatch[timm].

    Raises:
        ExtraError: the package is missing or cannot be imported.
    """
    # Converted networks give such warnings whenever they run, which `quiet` cannot know.
    warnings.filterwarnings("ignore", module="onnx2torch")
    package, line = module.partition(".")[0], f"pip install '{install}'"
    if package in NEED_TORCHVISION:
        define_missing_operators()
    try:
        with quiet():
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or package).partition(".")[0]
        what = f"the package {package}" if missing == package else f"the package {missing}, which {package} needs,"
        raise ExtraError(f"{what} is not installed: {line}") from error
    except Exception as error:
        # A package that does not fit the others that are installed can fail in any way.
        raise ExtraError(
            f"the package {package} is installed and cannot be imported ({first_line(error)}): does it, with what it "
            f"needs, fit torch {torch.__version__}? torchvision has to be of the release and the index that torch came "
            f"from; else {line} in a fresh environment mends it"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings that packages address to their developers, while the block lasts."""
    loggers = [logging.getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def only_weights() -> Iterator[None]:
    """Refuse to unpickle anything but weights in every `torch.load` while the block lasts, whatever its arguments."""
    before = os.environ.get(ONLY_WEIGHTS)
    os.environ[ONLY_WEIGHTS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ONLY_WEIGHTS]
        else:
            os.environ[ONLY_WEIGHTS] = before
