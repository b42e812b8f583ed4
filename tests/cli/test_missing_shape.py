"""No command assumes the shape of inputs: where nobody says it, it is asked for in one line."""

from pathlib import Path

import numpy as np
import pytest

from beliefmatch.cli import main

PAIR = ("--teacher", "wide_resnet_16_1", "--student", "convnet_2")
COMMANDS = {
    "transfer": ("transfer", "noise", *PAIR, "--folder", "run"),
    "compare": ("compare", "noise", "digits", *PAIR, "--minutes", "1", "--folder", "runs"),
    "measure": ("measure", *PAIR, "--images", "images.npz"),
    "compress": ("compress", "wide_resnet_16_1", "--student", "convnet_2"),
    "inspect": ("inspect", "wide_resnet_16_1"),
    "quantize": ("quantize", "wide_resnet_16_1"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shape_that_nobody_says_is_asked_for(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=np.zeros((2, 32, 32, 3), np.uint8))
    for words in ((), ("--mean", ".5", "--std", ".5")):
        assert main([*COMMANDS[command], *words]) == 2
        assert capsys.readouterr().err.splitlines() == [
            "beliefmatch: error: --shape is missing: wide_resnet_16_1 does not say what inputs it takes; give the "
            "shape of one input, such as 3 32 32 for colour images or 64 for a vector, or what it was trained on, such "
            "as --dataset cifar10"
        ]
    assert main([*COMMANDS[command], "--dataset", "cifar10"]) == 2
    assert "has no weights" in capsys.readouterr().err, "the shape is no longer what is missing"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npz"]
