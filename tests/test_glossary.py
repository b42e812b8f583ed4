"""Names use the words of the glossary in docs/architecture.md: none of those that it retired."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "beliefmatch"
RETIRED = {
    *("answer", "answered", "answers", "ascend", "ascent", "assumed", "calibrate", "calibration"),
    *("descend", "descent", "facts", "forms", "guard", "learnt", "lesson", "lessons"),
    *("meant", "mine", "place", "plain", "rehearsal", "rehearse", "said", "settle"),
    *("settled", "share", "shares", "shorthand", "shown", "taught", "terms", "told"),
    *("watch", "widened"),
}
"""Words of the project's own for what the field has a name for."""
ALLOWED = {
    "calibration": {"calibration_error", "calibration_error_gaps", "debiased_calibration_error"},
    "forms": {"output_forms"},
    "terms": {"terms", "loss_terms_of"},
}
"""Names in which a retired word is the field's: expected calibration error, forms of outputs, terms of a loss."""
QUANTISED = ("calibrate", "calibration")
"""Words of the field where networks are quantised."""


def words_of(name: str) -> list[str]:
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)


def public_names(path: Path) -> Iterator[str]:
    """Yield names of a module, its functions and their parameters, classes and their fields, but for private ones."""
    yield from path.relative_to(SOURCE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) if not name.startswith("_"):
                yield name
                arguments = node.args
                yield from (each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield name
                for line in node.body:
                    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                        yield line.target.id
    for line in ast.parse(path.read_text()).body:
        targets = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        yield from (target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_"))


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_public_name_holds_a_retired_word(path: Path) -> None:
    allowed = QUANTISED if "quantiz" in str(path.relative_to(SOURCE)) else ()
    found = {
        name
        for name in public_names(path)
        for word in words_of(name)
        if word.lower() in RETIRED.difference(allowed) and name not in ALLOWED.get(word.lower(), ())
    }
    assert not found, f"retired words (docs/architecture.md lists what to say instead): {sorted(found)}"
