"""The distance of features."""

import pytest
import torch

from beliefmatch.functional.features import LEAST_POWER, feature_distance


def test_it_is_the_mean_squared_difference_over_the_teachers_mean_square() -> None:
    teacher, student = torch.randn(3, 4, 5, 5), torch.randn(3, 4, 5, 5)
    for row in range(3):
        expected = ((student[row] - teacher[row]) ** 2).mean() / (teacher[row] ** 2).mean()
        torch.testing.assert_close(feature_distance(teacher, student)[row], expected)


def test_scale_does_not_count_and_silence_is_bounded() -> None:
    teacher, student = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    torch.testing.assert_close(feature_distance(100 * teacher, 100 * student), feature_distance(teacher, student))
    silent = feature_distance(torch.zeros(3, 4, 5), torch.full((3, 4, 5), 1e-3))
    assert silent.tolist() == pytest.approx([1e-6 / LEAST_POWER] * 3)
