"""Pruned students on disk: what is loaded gives the outputs of what was written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import beliefmatch as bm
from beliefmatch.errors import FolderError
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.folder import RunFolder
from beliefmatch.students.base import build_student, inspect_student
from beliefmatch.training.student_files import load_student, load_student_with_logits, write_student
from networks_to_prune import SHAPES, make
from stored_students import write_metadata


def written(teacher: AbstractNetwork, module: nn.Module, student: str, shape: tuple[int, ...], folder: Path) -> Any:
    """Write the student of a run that was not trained; give the student."""
    transfer = bm.recipes.noise(
        bm.recipes.Setup(teacher=teacher, student=bm.NamedStudent(architecture=student), shape=shape)
    )
    frozen = Teacher(module, transfer.inputs)
    made = transfer.student.build(frozen)
    folder.mkdir(exist_ok=True)
    write_student(RunFolder(folder), made, transfer, inspect_student(made, frozen)[1])
    return made.eval()


CASES = [*((name, "thin:0.5") for name in SHAPES), ("cifar_resnet_20", "shallow:0.7"), ("wide_resnet_16_1", "thin:1")]


@pytest.mark.parametrize(("name", "student"), CASES)
def test_a_reloaded_student_gives_equal_outputs(name: str, student: str, tmp_path: Path) -> None:
    is_named = name not in ("depthwise", "own")
    teacher = bm.Network(architecture=name) if is_named else GivenNetwork.of(make(name))
    made = written(teacher, make(name), student, SHAPES[name], tmp_path)
    loaded = load_student(tmp_path, architecture=None if is_named else make(name))
    inputs = torch.randn(4, *SHAPES[name])
    assert torch.equal(loaded(inputs), made(inputs))
    assert list(loaded.state_dict()) == list(made.state_dict())
    assert not loaded.training


def test_a_student_of_one_output_is_loaded_as_the_network_and_with_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = make_network("mlp_16", in_channels=6, num_classes=1)
    made = written(bm.Network(architecture="mlp_16", num_classes=1), network, "thin:0.5", (6,), tmp_path)
    inputs = torch.randn(4, 6)
    assert load_student(tmp_path)(inputs).shape == (4, 1)
    assert torch.equal(load_student_with_logits(tmp_path)(inputs), made(inputs))


def test_a_student_that_is_not_made_by_pruning_has_no_plan(tmp_path: Path) -> None:
    """Not even where it was given in Python and is a pruned network by itself."""
    pruned = written(bm.Network(architecture="mlp_64_48"), make("mlp_64_48"), "thin:0.5", (12,), tmp_path / "first")
    transfer = bm.recipes.noise(
        bm.recipes.Setup(teacher=bm.Network(architecture="mlp_64_48"), student=bm.GivenStudent.of(pruned), shape=(12,))
    )
    (tmp_path / "second").mkdir()
    made, inspection = build_student(transfer.student, Teacher(make("mlp_64_48"), transfer.inputs))
    write_student(RunFolder(tmp_path / "second"), made, transfer, inspection)
    metadata = RunFolder(tmp_path / "second").read_student()
    assert (metadata.plan, metadata.architecture) == (None, "given in Python: MLP")


@pytest.mark.parametrize("second", ["thin:0.5", "shallow:0.7"])
def test_a_pruned_network_is_pruned_again(second: str, tmp_path: Path) -> None:
    first = written(
        bm.Network(architecture="wide_resnet_16_1"), make("wide_resnet_16_1"), "thin:0.7", (3, 16, 16), tmp_path
    )
    again = tmp_path / "again"
    made = written(GivenNetwork.of(first), first, second, (3, 16, 16), again)
    inputs = torch.randn(2, 3, 16, 16)
    assert torch.equal(load_student(again, architecture=load_student(tmp_path))(inputs), made(inputs))


def test_a_number_of_classes_below_1_is_one_line(tmp_path: Path) -> None:
    written(bm.Network(architecture="mlp_64_48"), make("mlp_64_48"), "thin:1", (12,), tmp_path)
    content = json.loads((tmp_path / "student.json").read_text())
    write_metadata(tmp_path, content | {"plan": None, "num_classes": -1})
    with pytest.raises(FolderError, match=r"student\.json is damaged: num_classes is -1, expected at least 1"):
        load_student(tmp_path)
