"""Students that are made from their teacher: their names, their weights, and how they begin."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from beliefmatch.errors import SettingsError, WeightsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning.narrowing import plan_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.students.base import build_student
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent, PruningRequest, asks_for_pruning
from networks_to_prune import make, spec_of


def teacher_of(name: str) -> Teacher:
    return Teacher(make(name), spec_of(name))


@pytest.mark.parametrize(
    ("typed", "request_", "name"),
    [
        ("thin:0.5", PruningRequest(method="thin", quantity="macs", fraction=0.5), "thin:0.5"),
        ("thin:macs=.50", PruningRequest(method="thin", quantity="macs", fraction=0.5), "thin:0.5"),
        ("thin:parameters=0.3", PruningRequest(method="thin", quantity="parameters", fraction=0.3), None),
        ("thin:latency=0.5", PruningRequest(method="thin", quantity="latency", fraction=0.5), None),
        ("thin:1", PruningRequest(method="thin", quantity="macs", fraction=1.0), "thin:1.0"),
        ("shallow:0.7", PruningRequest(method="shallow", quantity="macs", fraction=0.7), "shallow:0.7"),
    ],
)
def test_names_are_read(typed: str, request_: PruningRequest, name: str | None) -> None:
    assert asks_for_pruning(typed)
    assert PruningRequest.parse(typed) == request_
    assert PrunedStudent(architecture=typed).architecture == (name or typed)


@pytest.mark.parametrize("typed", ["thinner", "wide_resnet_16_1", "my_file.py:thin", "given in Python: thin"])
def test_other_names_stand_for_other_students(typed: str) -> None:
    assert not asks_for_pruning(typed)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        *(
            (f"thin:{part}", f"above 0 and at most 1, .* got {part}")
            for part in ("0", "-1", "1.01", "half", "nan", "inf")
        ),
        ("convnet_8", "is not made by pruning; there are thin, shallow"),
        ("thin", "got none"),
        ("thin:", "got none"),
        ("thin:macs=", "got none"),
        ("thin:size=0.5", "keeps a part of 'size'; there are macs, parameters, latency"),
        ("thin:mac=0.5", "keeps a part of 'mac'; did you mean macs"),
        ("thin:macs=0.5,parameters=0.3", "keeps a part of"),
        ("shallow:parameters=0.5", "keeps a part of 'parameters'; there are macs, and thin:parameters=0.3"),
    ],
)
def test_other_parts_and_keys_are_one_line(typed: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        PrunedStudent(architecture=typed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["thin:1", "shallow:1"])
def test_a_part_of_1_is_the_teacher(name: str) -> None:
    teacher = teacher_of("wide_resnet_16_1")
    student = PrunedStudent(architecture=name).build(teacher).eval()
    inputs = torch.randn(3, 3, 16, 16)
    assert torch.equal(student(inputs), teacher.module(inputs))
    assert {*student.state_dict()} == {*teacher.module.state_dict()}


@pytest.mark.parametrize("name", ["thin:0.5", "shallow:0.7"])
def test_a_student_learns_and_its_teacher_stays_as_it_is(name: str) -> None:
    teacher = teacher_of("wide_resnet_16_1")
    before = copy.deepcopy(teacher.module.state_dict())
    student = PrunedStudent(architecture=name).build(teacher)
    assert student.training
    assert all(parameter.requires_grad for parameter in student.parameters())
    student(torch.randn(4, 3, 16, 16)).sum().backward()
    torch.optim.SGD(student.parameters(), 0.1).step()
    assert all(torch.equal(tensor, before[key]) for key, tensor in teacher.module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in teacher.module.parameters())
    assert plan_of(teacher.module) is None


def test_fresh_weights_are_other_ones_of_the_same_sizes() -> None:
    teacher = teacher_of("lenet_5_bn")
    kept, fresh = (PrunedStudent(architecture="thin:0.5", start=start).build(teacher) for start in ("teacher", "fresh"))
    assert plan_of(kept) == plan_of(fresh)
    for (name, first), second in zip(kept.named_parameters(), fresh.parameters(), strict=True):
        assert first.shape == second.shape
        assert not torch.equal(first, second), name


def test_weights_of_a_file_are_loaded_into_the_pruned_network(tmp_path: Path) -> None:
    teacher, path = teacher_of("lenet_5"), tmp_path / "weights.safetensors"
    state = PrunedStudent(architecture="thin:0.5").build(teacher).state_dict()
    save_file({name: tensor + 1 for name, tensor in state.items()}, path)
    student = PrunedStudent(architecture="thin:0.5", weights=path).build(teacher)
    assert all(torch.equal(tensor, state[name] + 1) for name, tensor in student.state_dict().items())
    with pytest.raises(WeightsError, match="shape"):
        PrunedStudent(architecture="thin:0.3", weights=path).build(teacher)
    with pytest.raises(SettingsError, match=r"student\.start='teacher' contradicts the weights"):
        PrunedStudent(architecture="thin:0.5", weights=path, start="teacher")


def test_what_a_name_says_besides_is_kept() -> None:
    named = NamedStudent(architecture="thin:macs=0.5", start="fresh", outputs="logits")
    assert PrunedStudent.of(named) == PrunedStudent(architecture="thin:0.5", start="fresh", outputs="logits")


class OneOutput(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))


def test_a_teacher_of_one_output_gives_a_student_of_two_classes() -> None:
    torch.manual_seed(0)
    teacher = Teacher(OneOutput(), InputSpec(shape=(6,)))
    student, inspection = build_student(PrunedStudent(architecture="thin:0.5"), teacher)
    plan = plan_of(student)
    assert inspection.num_classes == 2
    assert student(torch.randn(3, 6)).shape == (3, 2)
    assert plan is not None
    assert plan.num_outputs == 1
