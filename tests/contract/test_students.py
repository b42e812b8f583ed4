"""What every student promises, in one table."""

import pytest
import torch

from beliefmatch.errors import NetworkError
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.stored import SETTINGS_TYPES
from beliefmatch.students.base import AbstractStudent, build_student
from beliefmatch.students.given import GivenStudent
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.students.quantized import QuantizedStudent
from tiny import make_conv_teacher, make_dropout_student, named

STUDENTS: dict[str, AbstractStudent] = {
    "built in": NamedStudent(architecture="convnet_4"),
    "own": NamedStudent(architecture=named("make_dropout_student")),
    "pruned": PrunedStudent(architecture="thin:0.5"),
    "quantized": QuantizedStudent(architecture="quantized:w4a8"),
    "given": GivenStudent.of(make_dropout_student),
}


def test_the_table_holds_every_student() -> None:
    listed = {type(student) for student in STUDENTS.values()}
    assert listed == {kind for kind in SETTINGS_TYPES if issubclass(kind, AbstractStudent)}


@pytest.mark.parametrize("name", STUDENTS)
def test_it_takes_the_teachers_inputs_and_knows_its_classes(name: str) -> None:
    teacher = Teacher(make_conv_teacher(), DIGITS)
    student, inspection = build_student(STUDENTS[name], teacher)
    assert student(torch.randn(3, 1, 8, 8)).shape == (3, inspection.num_classes) == (3, 10)


@pytest.mark.parametrize("name", STUDENTS)
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    teacher = Teacher(make_conv_teacher(), DIGITS)
    built = []
    for _ in range(2):
        torch.manual_seed(5)
        built.append(list(STUDENTS[name].build(teacher).state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(*built, strict=True))


def test_other_classes_than_the_teachers_are_refused() -> None:
    with pytest.raises(NetworkError, match="the teacher knows 10 classes and the student 7"):
        build_student(NamedStudent(architecture=named("make_seven_classes")), Teacher(make_conv_teacher(), DIGITS))
