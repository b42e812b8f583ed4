"""Recipes carry exactly the settings that their sources print."""

from pathlib import Path

import pytest

from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.model_settings import Dataset
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import Adam
from beliefmatch.recipes import best, digits, zero_shot
from beliefmatch.recipes.digits import STUDENT_ARCHITECTURE, TEACHER_ARCHITECTURE
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.students.named import NamedStudent

TEACHER = Network(architecture="wide_resnet_40_2")
STUDENT = NamedStudent(architecture="wide_resnet_16_1")


@pytest.mark.parametrize(
    ("dataset", "rounds", "mean", "std"),
    [
        ("cifar10", 80_000, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ("svhn", 50_000, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    ],
)
def test_zero_shot_is_the_paper(dataset: Dataset, rounds: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    transfer = zero_shot(Setup(teacher=TEACHER, student=STUDENT, dataset=dataset))
    assert transfer.rounds == rounds
    assert (transfer.inputs.shape, transfer.inputs.mean, transfer.inputs.std) == ((3, 32, 32), mean, std)
    assert transfer.batch_size == 128
    assert transfer.student_optimiser == Adam(learning_rate=2e-3, gradient_clip=5.0)
    assert transfer.source == Adversarial(
        generator_steps=1,
        student_steps=10,
        noise_size=100,
        fresh_noise=False,
        divergence="kl",
        divergence_weight=1.0,
        divide_by_classes=True,
        temperature=1.0,
        batch_norm_weight=0.0,
        learning_rate=1e-3,
        gradient_clip=5.0,
    )
    assert transfer.objective == BeliefMatching(
        divergence="kl", divide_by_classes=True, temperature=1.0, attention_weight=250.0, taps=None
    )


def test_another_normalisation_can_be_named() -> None:
    transfer = zero_shot(Setup(teacher=TEACHER, student=STUDENT, dataset="cifar10", std=(0.247, 0.243, 0.261)))
    assert (transfer.inputs.mean, transfer.inputs.std) == ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261))
    assert zero_shot(Setup(teacher=TEACHER, student=STUDENT, shape=(64,))).inputs.mean is None


@pytest.mark.parametrize(
    ("student", "start"),
    [
        (NamedStudent(architecture="lenet_5_half"), "teacher"),
        (NamedStudent(architecture="lenet_5_half", start="fresh"), "fresh"),
        (NamedStudent(architecture="lenet_5_half", weights=Path("own.safetensors")), None),
        (NamedStudent(architecture="timm:resnet18?pretrained"), None),
        (NamedStudent(architecture="timm:resnet18?img_size=8"), "teacher"),
    ],
)
def test_the_best_student_starts_from_its_teacher_unless_it_has_weights(
    student: NamedStudent, start: str | None
) -> None:
    built = best(Setup(teacher=TEACHER, student=student, dataset="cifar10")).student
    assert isinstance(built, NamedStudent)
    assert built.start == start


def test_the_best_recipe_has_one_set_of_settings() -> None:
    made = [best(Setup(teacher=TEACHER, student=STUDENT, shape=shape)) for shape in ((3, 32, 32), (1, 28, 28), (64,))]
    for transfer in made:
        assert transfer.objective == BeliefMatching(
            divergence="kl", divergence_weight=400.0, temperature=20.0, feature_weight=10.0
        )
        assert transfer.student_optimiser == made[0].student_optimiser
        assert transfer.source == ProceduralPool()


def test_the_digits_student_has_at_most_a_tenth_of_the_teachers_parameters() -> None:
    assert digits(Setup(teacher=Network(architecture=TEACHER_ARCHITECTURE))).inputs == DIGITS
    teacher, student = (
        measure_cost(make_network(name, in_channels=1, num_classes=10), DIGITS).parameters
        for name in (TEACHER_ARCHITECTURE, STUDENT_ARCHITECTURE)
    )
    assert student <= teacher / 10
