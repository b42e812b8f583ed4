"""What all tests share."""

import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

# Test processes run side by side; with all threads each they would wait for one another more than they compute.
WORKERS = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
CORES = os.cpu_count() or 1
THREADS = max(1, CORES // int(WORKERS)) if WORKERS else int(os.environ.get("OMP_NUM_THREADS", CORES))
os.environ["OMP_NUM_THREADS"] = str(THREADS)
torch.set_num_threads(THREADS)

# Beside the CPU build of torch, torchvision's wheel cannot load its own operators, and then looks for two of them in
# vain when it is imported, as timm and onnx2torch do. Nothing here runs them.
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


define_missing_operators()

Command = Callable[..., subprocess.CompletedProcess[str]]


LOG_LEVEL = logging.getLogger().level


@pytest.fixture(autouse=True)
def log_level_as_it_was() -> None:
    """Undo what the command did to the log of the whole process, where tests or fixtures ran it in their own."""
    logging.getLogger().setLevel(LOG_LEVEL)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in a process of its own, in an empty folder."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "beliefmatch", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
