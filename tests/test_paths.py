"""In Python a string is a path wherever a path is taken, and what is neither is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import beliefmatch as bm
from beliefmatch.errors import WrongTypeError
from tiny import tiny_transfer

TAKERS: dict[str, Callable[[Any], Any]] = {
    "a network's weights": lambda path: bm.Network(architecture="convnet_8", weights=path).weights,
    "a student's weights": lambda path: bm.NamedStudent(architecture="convnet_8", weights=path).weights,
    "few labelled images": lambda path: bm.FewShot(images=path, images_per_class=1).images,
    "unlabelled images": lambda path: bm.Unlabelled(images=path).images,
    "the folder of a run's options": lambda path: bm.RunOptions(folder=path).folder,
    "a run folder": lambda path: bm.RunFolder(path).path,
}


@pytest.mark.parametrize("name", TAKERS)
def test_a_string_is_a_path(name: str, tmp_path: Path) -> None:
    assert TAKERS[name](str(tmp_path / "file")) == TAKERS[name](tmp_path / "file") == tmp_path / "file"
    with pytest.raises(WrongTypeError, match="is a int; expected a path"):
        TAKERS[name](3)


def test_a_run_is_measured_and_exported_by_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bm.run(tiny_transfer(), bm.RunOptions(folder="run", accelerator="cpu"))  # pyright: ignore[reportArgumentType]
    images = torch.zeros(4, 1, 8, 8)
    found = [bm.measure_run(each, images, trust_code=True).agreement for each in ("run", Path("run"))]
    assert found[0] == found[1]
    np.savez("inputs.npz", inputs=images.numpy())
    assert len(bm.read_examples("inputs.npz")) == 4
    with pytest.raises(bm.BeliefMatchError, match=r"missing\.npz"):
        bm.read_examples("missing.npz")
    exported = bm.export_student("run", "pt2", out="student.pt2", trust_code=True)
    assert exported.file == Path("student.pt2")
