"""Outputs that are not finite give no class, and no number: whoever measures them is told which they are."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import ExamplesError, ExportError
from beliefmatch.export.check import compare
from beliefmatch.measurement import measure_pair
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.folder import RunFolder

INPUTS = torch.randn(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
INPUTS[42:52] = 0
LABELS = torch.arange(100) % 10


class Standardising(nn.Module):
    """Divides each image by its own deviation, which a blank one does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return self.fc((flat - flat.mean(dim=1, keepdim=True)) / flat.std(dim=1, keepdim=True))


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_examples_without_a_class_are_counted_and_refused(role: str) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    networks = {"teacher": linear, "student": linear, role: Standardising()}
    with pytest.raises(ExamplesError, match=rf"the {role} gives .* not finite for 10 of 100 examples, .* index 42:"):
        measure_pair(networks["teacher"], networks["student"], DIGITS, INPUTS, LABELS, batch_size=30)


def test_a_file_is_not_blamed_for_what_the_student_does() -> None:
    logits = Standardising()(INPUTS).detach()
    with pytest.raises(ExportError, match="not finite for 10 of 100 inputs of noise, the first at index 42"):
        compare(logits, logits, name="noise")


def test_no_file_of_ours_holds_what_json_does_not_know(tmp_path: Path) -> None:
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "file.json", {"value": bad})
        with pytest.raises(ValueError, match="not JSON compliant"):
            RunFolder(tmp_path).append_metrics({"round": 1, "student_loss": bad})
    write_json(tmp_path / "file.json", {"value": 1.5})
    assert json.loads((tmp_path / "file.json").read_text()) == {"value": 1.5}
