"""Networks whose code is unusual: scripted, of one batch size, with shared modules, or with views."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from beliefmatch.cli import main
from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect

IMAGE = InputSpec(shape=(1, 8, 8))


class FixedBatch(nn.Module):
    """Names its batch size in a view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(256, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).view(16, -1))


class Shared(nn.Module):
    """Uses one convolution twice, at two resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.head = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Linear(4, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.first(x))
        return self.head(self.twice(x[..., ::2, ::2]).mean((2, 3)))


SOURCE = """
import torch
from torch import nn

class Viewed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.head = nn.Linear(width * 64, 5)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        return self.head(x.view(x.size(0), -1))

def make_teacher():
    torch.manual_seed(0)
    return Viewed(8)

def make_student():
    return Viewed(4)
"""


@pytest.mark.parametrize("within", [False, True])
def test_a_scripted_module_is_named(within: bool) -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        scripted = torch.jit.script(nn.Linear(8, 5))
    network = nn.Sequential(nn.Linear(8, 8), scripted) if within else scripted
    where = "holds a module of torch.jit, 1," if within else "is a module of torch.jit,"
    with pytest.raises(NetworkError, match=f"the student {where} which hooks cannot read"):
        inspect(network, InputSpec(shape=(8,)), role="student")


def test_a_batch_size_in_the_code_is_named() -> None:
    with pytest.raises(NetworkError, match=r"the teacher takes batches of 16 examples alone: .* x\.view\(16, -1\)"):
        inspect(FixedBatch(), IMAGE, role="teacher")


def test_a_module_that_runs_twice_is_no_tap() -> None:
    inspection = inspect(Shared(), IMAGE, role="teacher")
    assert "twice" not in inspection.shapes
    assert dict(inspection.feature_maps) == {(8, 8): "first"}


def test_a_network_that_cannot_have_channels_last_has_them_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "viewed.py").write_text(SOURCE)
    teacher, student = (f"{tmp_path}/viewed.py:make_{role}" for role in ("teacher", "student"))
    words = ["transfer", "noise", "--teacher", teacher, "--student", student, "--shape", "1", "8", "8"]
    words += ["--rounds", "3", "--batch-size", "4", "--accelerator", "cpu", "--folder", str(tmp_path / "run")]
    with caplog.at_level("INFO"):
        assert main(words) == 0, capsys.readouterr().err
    assert "the teacher does not serve in channels-last memory format, so it computes in" in caplog.text
    assert "the student does not serve in channels-last memory format" in caplog.text

    np.savez(tmp_path / "images.npz", images=np.zeros((4, 8, 8, 1), np.uint8))
    assert main(["measure", str(tmp_path / "run"), "--images", str(tmp_path / "images.npz"), "--trust-code"]) == 0
