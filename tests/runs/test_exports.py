"""What result.json keeps of exported files, and old ones that know nothing of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.runs.exports import Deployed, Export, FileCheck, make_export
from beliefmatch.runs.folder import RunFiles

CHECK = FileCheck(name="noise", num_examples=3, largest_logit=2.0, max_logit_difference=0.0, agreement=1.0)
NETWORK = Deployed(bytes=10, macs=None, torch_latency=0.1, onnxruntime_latency=None)
EXPORT = Export(
    format="pt2",
    pixels=None,
    sha256="ab",
    pseudo=CHECK,
    num_noise=0,
    why_noise=None,
    images=None,
    student=NETWORK,
    teacher=NETWORK,
    why_no_teacher=None,
    threads=1,
    versions={"torch": "2.6"},
)
OLD = {
    "student_accuracy": None,
    "teacher_accuracy": None,
    "agreement": None,
    "student_parameters": 1,
    "teacher_parameters": 2,
    "rounds": 3,
    "seconds": 4.0,
}


def read(folder: Path, content: dict[str, Any]) -> Any:
    (folder / "result.json").write_text(json.dumps(content))
    return RunFiles(folder).read_result()


def test_exports_survive_the_disk() -> None:
    assert make_export(**json.loads(json.dumps(asdict(EXPORT)))) == EXPORT


def test_a_result_of_before_has_none(tmp_path: Path) -> None:
    assert read(tmp_path, OLD).exports is None
    assert read(tmp_path, OLD | {"exports": {"model.pt2": asdict(EXPORT)}}).exports == {"model.pt2": EXPORT}


@pytest.mark.parametrize(
    "exports",
    [
        [],
        {"model.pt2": {}},
        {"model.pt2": 3},
        {"model.pt2": asdict(EXPORT) | {"student": {**asdict(NETWORK), "bytes": "many"}}},
        {"model.pt2": asdict(EXPORT) | {"pseudo": {**asdict(CHECK), "agreement": None}}},
        {"model.pt2": asdict(EXPORT) | {"more": 1}},
    ],
)
def test_a_damaged_one_is_told(exports: Any, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"result\.json is damaged"):
        read(tmp_path, OLD | {"exports": exports})
