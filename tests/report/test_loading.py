"""How the report says that a student is loaded: the snippet works for students of every origin."""

from dataclasses import replace
from pathlib import Path

import pytest

from beliefmatch.report.metadata import student_section
from beliefmatch.report.runs import Run, read_runs


@pytest.fixture
def run(two_runs: list[Path]) -> Run:
    return replace(read_runs(two_runs[:1])[0], path=Path("runs/small"))


@pytest.mark.parametrize(
    ("architecture", "arguments", "why"),
    [
        ("convnet_4", "'runs/small'", ""),
        ("timm:resnet18", "'runs/small'", ""),
        ("/home/me/my_model.py:small", "'runs/small', trust_code=True", "unless you trust it"),
        ("given in Python: Small", "'runs/small', architecture=student", "has to be given again"),
    ],
)
def test_the_snippet_says_what_loading_needs(run: Run, architecture: str, arguments: str, why: str) -> None:
    assert run.student_metadata is not None
    section = student_section([replace(run, student_metadata=replace(run.student_metadata, architecture=architecture))])
    assert f"load_student({arguments})  #" in (section.parts[0].code or "")
    assert why in section.text
    assert ("trust it" in section.text or "given again" in section.text) == bool(why)
