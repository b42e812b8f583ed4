"""The paper's weight of a divergence follows the number of classes: its released code averages the KL over them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn.functional import kl_div, log_softmax, softmax

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.taps import outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes import few_shot, toy, zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.input_gradient import input_gradient
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

SETUP = Setup(teacher=Network(architecture="mlp_8"), student=NamedStudent(architecture="mlp_4"), shape=(12,))
VECTOR = InputSpec(shape=(12,))


def released(teacher: torch.Tensor, student: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """The KL as the released code has it, averaged over examples and classes."""
    logs = log_softmax(student / temperature, dim=1)
    return kl_div(logs, softmax(teacher / temperature, dim=1), reduction="none").mean()


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize(
    ("transfer", "weight", "temperature"),
    [
        (zero_shot(SETUP), 1.0, 1.0),
        (toy(replace(SETUP, shape=None)), 1.0, 1.0),
        (few_shot(SETUP, source=FewShot(images=Path("some.npz")), method="kd"), 28.8, 4.0),
    ],
)
def test_the_students_divergence_follows_the_number_of_classes(
    transfer: Transfer, weight: float, temperature: float, classes: int
) -> None:
    inputs = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    teacher, student = (outputs_of(nn.Linear(12, classes), inputs) for _ in range(2))
    labels = torch.zeros(6, dtype=torch.int64)
    terms = transfer.objective(teacher, student, labels)
    expected = weight * released(teacher.logits, student.logits, temperature)
    torch.testing.assert_close(terms["divergence"].mean(), expected)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_generators_divergence_follows_the_number_of_classes(classes: int, monkeypatch: Any) -> None:
    transfer, fabric = zero_shot(SETUP), Fabric(accelerator="cpu", devices=1)
    teacher, student = Teacher(nn.Linear(12, classes), VECTOR), nn.Linear(12, classes)
    seen: list[torch.Tensor] = []

    def watched(losses: Any, inputs: torch.Tensor, micro_batch: int | None) -> Any:
        seen.append(inputs.detach())
        return input_gradient(losses, inputs, micro_batch)

    monkeypatch.setattr("beliefmatch.sources.adversarial.input_gradient", watched)
    state = transfer.source.start(teacher, student, transfer.plan, fabric)
    found = transfer.source.improve(state, teacher, student, fabric)["generator_divergence"]
    expected = -released(teacher.outputs(seen[0]).logits, student(seen[0]))
    torch.testing.assert_close(found[0], expected)
