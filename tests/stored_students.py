"""Students in run folders, replaced on purpose."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def replace_student(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Replace the student's weights, and their checksum in student.json and result.json."""
    file = folder / "student.safetensors"
    save_file(dict(weights), file)
    for path, name in ((folder / "student.json", "sha256"), (folder / "result.json", "student_sha256")):
        content = json.loads(path.read_text())
        content[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_text(json.dumps(content))
