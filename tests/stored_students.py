"""Students in run folders, replaced on purpose."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from beliefmatch.runs.student_checksum import MADE


def replace_student(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Replace the student's weights, and their checksum in student.json and result.json."""
    file = folder / "student.safetensors"
    save_file(dict(weights), file)
    for path, name in ((folder / "student.json", "sha256"), (folder / "result.json", "student_sha256")):
        content = json.loads(path.read_text())
        content[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_text(json.dumps(content))


def write_metadata(folder: Path, content: dict[str, Any]) -> None:
    """Write student.json with the checksum that its fields have then, as somebody who means harm would."""
    made = {name: content.get(name) for name in MADE}
    checksum = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    (folder / "student.json").write_text(json.dumps(content | {"made_sha256": checksum}))
