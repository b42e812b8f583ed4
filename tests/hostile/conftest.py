"""Where hostile files lie, and what they are measured on."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, where a canary would appear."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Eight vectors of eight numbers."""
    path = tmp_path / "inputs.npz"
    np.savez(path, inputs=np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32))
    return path
