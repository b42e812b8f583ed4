"""Students that are their teacher in few bits: their names, and how they begin."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import beliefmatch as bm
from beliefmatch.errors import SettingsError
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.networks.quantization.plan import quantization_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.best import OPTIMISER
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.quantized import QuantizationRequest, QuantizedStudent, asks_for_quantization
from tiny import make_conv_teacher, named


@pytest.mark.parametrize(
    ("typed", "bits", "name"),
    [
        ("quantized:w4a8", (4, 8), "quantized:w4a8"),
        ("quantized:W8A8", (8, 8), "quantized:w8a8"),
        ("quantized:w2a04", (2, 4), "quantized:w2a4"),
    ],
)
def test_names_are_read(typed: str, bits: tuple[int, int], name: str) -> None:
    assert asks_for_quantization(typed)
    assert QuantizationRequest.parse(typed) == QuantizationRequest(weight_bits=bits[0], activation_bits=bits[1])
    assert QuantizedStudent(architecture=typed).architecture == name


@pytest.mark.parametrize("typed", ["quantised", "convnet_8", "my_file.py:quantized", "thin:0.5"])
def test_other_names_stand_for_other_students(typed: str) -> None:
    assert not asks_for_quantization(typed)


@pytest.mark.parametrize("bits", ["", "w4", "a4", "4", "w1a8", "w8a9", "w4a16", "w32a32", "w4a8x", "w4.5a8", "w-4a8"])
def test_other_bits_are_one_line(bits: str) -> None:
    with pytest.raises(SettingsError, match="from 2 to 8 each, such as quantized:w4a8") as caught:
        QuantizedStudent(architecture=f"quantized:{bits}")
    assert "\n" not in str(caught.value)


def test_fresh_weights_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"student\.start='fresh' contradicts .* since it is its teacher"):
        QuantizedStudent(architecture="quantized:w4a4", start="fresh")


def test_it_is_its_teacher_but_for_rounding_and_the_teacher_stays_as_it_is() -> None:
    teacher = Teacher(make_conv_teacher(), DIGITS)
    before = copy.deepcopy(teacher.module.state_dict())
    inputs = draw_pseudo_inputs(DIGITS, 16, seed=1)
    student = QuantizedStudent(architecture="quantized:w8a8").build(teacher)
    assert student.training
    assert all(parameter.requires_grad for parameter in student.parameters())
    student(inputs).sum().backward()
    torch.optim.SGD(student.parameters(), 0.1).step()
    assert all(torch.equal(tensor, before[key]) for key, tensor in teacher.module.state_dict().items())
    assert quantization_of(teacher.module) is None
    student = QuantizedStudent(architecture="quantized:w8a8").build(teacher).eval()
    exact, rounded = teacher.module(inputs), student(inputs).detach()
    assert not torch.equal(rounded, exact)
    assert float((rounded - exact).abs().max()) < 0.05 * float(exact.abs().max())


def test_fewer_bits_are_further_from_the_teacher() -> None:
    teacher = Teacher(make_conv_teacher(), DIGITS)
    inputs = draw_pseudo_inputs(DIGITS, 64, seed=1)
    differences = [
        float(
            (QuantizedStudent(architecture=name).build(teacher).eval()(inputs) - teacher.module(inputs)).detach().norm()
        )
        for name in ("quantized:w8a8", "quantized:w4a8", "quantized:w2a8")
    ]
    assert differences == sorted(differences)


def test_weights_of_a_file_are_loaded(tmp_path: Path) -> None:
    teacher, path = Teacher(make_conv_teacher(), DIGITS), tmp_path / "weights.safetensors"
    state = QuantizedStudent(architecture="quantized:w4a4").build(teacher).state_dict()
    save_file({name: tensor + 1 for name, tensor in state.items()}, path)
    student = QuantizedStudent(architecture="quantized:w4a4", weights=path).build(teacher)
    assert all(torch.equal(tensor, state[name] + 1) for name, tensor in student.state_dict().items())


def test_every_recipe_keeps_its_batch_norm_statistics() -> None:
    setup = bm.recipes.Setup(
        teacher=bm.Network(architecture=named("make_conv_teacher")),
        student=NamedStudent(architecture="quantized:w4a4"),
        shape=(1, 8, 8),
    )
    for recipe in (bm.recipes.noise, bm.recipes.best, bm.recipes.zero_shot):
        transfer = recipe(setup)
        assert isinstance(transfer.student, QuantizedStudent)
        assert transfer.freeze_batch_norm


def test_best_learns_slowly_in_few_bits() -> None:
    def rate_of(student: str, optimiser: Adam = OPTIMISER) -> float:
        setup = bm.recipes.Setup(
            teacher=bm.Network(architecture=named("make_conv_teacher")),
            student=NamedStudent(architecture=student),
            shape=(1, 8, 8),
        )
        found = bm.recipes.best(setup, optimiser=optimiser).student_optimiser
        assert isinstance(found, Adam)
        return found.learning_rate

    assert (rate_of("quantized:w4a4"), rate_of("thin:0.5")) == (1e-4, 1e-2)
    assert rate_of("quantized:w4a4", Adam(learning_rate=2e-2, gradient_clip=5.0)) == 2e-2
