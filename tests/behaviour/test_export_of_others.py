"""Students of all kinds as files to deploy, which answer batches of any size as the student does."""

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from test_any_model import SHAPE, TIMM, hugging_face_resnet, own, transfer
from torch import Tensor, nn

from beliefmatch import RunFolder
from beliefmatch.cli import main
from beliefmatch.export.formats import FORMATS
from beliefmatch.training.student_files import load_student_with_logits
from tiny import make_signal_network, named

pytestmark = pytest.mark.usefixtures("forked_answers")

SHAPES = {"timm": SHAPE, "hf": SHAPE, "signal": (2, 40)}


def make_signal_teacher() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_signal_network()


@pytest.fixture(scope="module", params=["timm", pytest.param("hf", marks=pytest.mark.long), "signal"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, ...]]:
    """A finished run with a student of each kind, and the shape of its inputs: a transformer, a ResNet, a 1-D one."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    match kind:
        case "timm":
            teacher, student = own("make_dict"), TIMM
        case "hf":
            teacher, student = own("make_tuple"), f"hf:{hugging_face_resnet(folder)}"
        case _:
            teacher, student = f"{__file__}:make_signal_teacher", named("make_signal_network")
    words = ("--teacher", teacher, "--student", student, "--shape", *SHAPES[kind])
    assert transfer(folder / "run", *words) == 0
    return folder / "run", SHAPES[kind]


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("to", list(FORMATS))
@pytest.mark.long
def test_any_batch_is_answered_as_the_student_answers(run: tuple[Path, tuple[int, ...]], to: str) -> None:
    folder, shape = run
    assert main(["export", "--trust-code", str(folder), "--to", to, "--display", "quiet"]) == 0
    found = (RunFolder(folder).read_result().exports or {})[f"model.{to}"]
    assert (found.pseudo.agreement, found.num_noise) == (1, 0)
    student = load_student_with_logits(folder, trust_code=True)
    # Traced with two.
    for size in (1, 3, 65):
        batch = torch.randn(size, *shape)
        torch.testing.assert_close(answer(folder, to, batch), student(batch), atol=1e-4, rtol=1e-4)


def answer(folder: Path, to: str, batch: Tensor) -> Tensor:
    """Load a file as the model card says, and give its logits."""
    file = folder / f"model.{to}"
    if to == "onnx":
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return torch.from_numpy(np.asarray(session.run(["logits"], {"inputs": batch.numpy()})[0]))
    if to == "pt2":
        return torch.export.load(file).module()(batch)
    return student_of_card(folder)(batch)


def student_of_card(folder: Path) -> nn.Module:
    """Run the card's lines where the file and what they need beside it lie, and nothing else."""
    place = folder.with_name("deployed")
    place.mkdir(exist_ok=True)
    shutil.copy(folder / "model.safetensors", place)
    name = json.loads(RunFolder(folder).student_metadata.read_text())["architecture"]
    if name.startswith("hf:"):
        shutil.copytree(name.removeprefix("hf:"), place / Path(name).name, dirs_exist_ok=True)
        assert "`pip install 'beliefmatch[hf]'`, and the folder `resnet` with" in (folder / "README.md").read_text()
    elif not name.startswith("timm:"):
        shutil.copy(name.rpartition(":")[0], place)
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    lines = next(block for block in blocks if "model.safetensors" in block)
    found: dict[str, Any] = {}
    with contextlib.chdir(place):
        exec(lines, found)
    return found["student"]
