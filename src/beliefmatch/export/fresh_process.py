"""The fresh process that loads an exported file and knows nothing else, seen from the process that wrote the file."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from beliefmatch.errors import ExportError
from beliefmatch.export.prediction_program import read_array, write_array

NEEDED = ("architecture", "num_classes", "task", "outputs", "output", "inputs")
"""Metadata that the process needs."""


class FreshProcess:
    """A process that has loaded an exported file; `fresh_process` starts and ends it."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self.process = process
        self.errors = errors

    def predict(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes) for what the file takes, (batch, *shape).

        Raises:
            ExportError: the file cannot be loaded, or does not take this batch.
        """
        assert self.process.stdin
        assert self.process.stdout
        try:
            write_array(self.process.stdin, inputs.contiguous().numpy())
            logits = read_array(self.process.stdout)
        except BrokenPipeError:
            logits = None
        if logits is None:
            raise ExportError(f"the file gives no predictions in a fresh process: {self._last_error()}")
        return torch.from_numpy(logits)

    def _last_error(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {self.process.returncode}"


@contextmanager
def fresh_process(file: Path, name: str, metadata: dict[str, Any] | None = None) -> Iterator[FreshProcess]:
    """Load an exported file in a fresh process, which ends with the block.

    Args:
        file: to load.
        name: of its format.
        metadata: what student.json holds. The process imports the Python code that it may name as the architecture, so
            it is given what was read and checked, not a file that may have changed since. None: an ONNX file, which
            holds all.
    """
    # -P: a file of the user's own that is called like a module must not be taken for it.
    needed = json.dumps(metadata and {key: metadata[key] for key in NEEDED})
    words = ["-P", "-m", "beliefmatch.export.prediction_program", str(file), name, needed]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # torch.export.load must not unpickle anything but tensors.
            env=os.environ | {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"},
        ) as process,
    ):
        try:
            yield FreshProcess(process, errors)
        finally:
            process.kill()
            assert process.stdin
            # What it did not read any more would be sent once again.
            with suppress(BrokenPipeError):
                process.stdin.close()
