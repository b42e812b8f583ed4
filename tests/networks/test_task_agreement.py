"""How far two networks predict the same, for each task, where examples count by weights."""

import pytest
import torch
from sklearn.metrics import r2_score

from beliefmatch.networks.tasks import TASKS

WEIGHTS = torch.tensor([0.5, 0.25, 0.125, 0.125])


def test_classes_count_by_the_weights_of_their_examples() -> None:
    teacher = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert float(TASKS["single_label"].agreement(teacher, student, WEIGHTS)) == 0.5 + 0.125


def test_labels_count_by_the_weights_of_their_examples() -> None:
    teacher = torch.tensor([[2.0, -2.0]]).expand(4, 2)
    student = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    assert float(TASKS["multi_label"].agreement(teacher, student, WEIGHTS)) == 0.5 + 0.25 / 2 + 0.125


def test_numbers_have_the_r2_of_scikit_learn() -> None:
    random = torch.Generator().manual_seed(0)
    teacher = 100 + torch.randn(4, 1, generator=random)
    student = teacher + 0.3 * torch.randn(4, 1, generator=random)
    expected = r2_score(teacher, student, sample_weight=WEIGHTS)
    found = TASKS["regression"].agreement(teacher.double(), student.double(), WEIGHTS.double())
    assert float(found) == pytest.approx(expected, rel=1e-6)
