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


@pytest.mark.parametrize("channels", [2, 6])
def test_other_channels_are_mapped_as_well_as_least_squares_can(channels: int) -> None:
    """By a solver that is told each position as a row."""
    teacher, student = torch.randn(8, 4, 5, 5), torch.randn(8, channels, 5, 5)
    student[:, :2] += teacher[:, 2:]
    rows, wanted = (each.movedim(1, -1).flatten(0, 2).double() for each in (student, teacher))
    residual = (rows @ torch.linalg.lstsq(rows, wanted).solution - wanted).reshape(8, 5, 5, 4)
    expected = residual.square().mean(dim=(1, 2, 3)) / teacher.double().square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(feature_distance(teacher, student), expected.float(), rtol=1e-3, atol=1e-4)


def test_a_student_whose_channels_span_the_teachers_is_at_distance_zero() -> None:
    student = torch.randn(8, 3, 5, 5, requires_grad=True)
    teacher = torch.einsum("ts,bsyx->btyx", torch.randn(7, 3), student.detach())
    distance = feature_distance(teacher, student)
    assert float(distance.detach().max()) < 1e-5
    far = feature_distance(torch.randn(8, 7, 5, 5), student).sum()
    far.backward()
    assert student.grad is not None
    assert float(student.grad.abs().max()) > 0


def test_dead_channels_of_a_student_give_a_finite_distance() -> None:
    teacher, student = torch.randn(8, 4, 5), torch.zeros(8, 2, 5, requires_grad=True)
    distance = feature_distance(teacher, student)
    distance.sum().backward()
    torch.testing.assert_close(distance, torch.ones(8))
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_the_map_is_solved_for_in_32_bits_under_autocast() -> None:
    teacher, student = torch.randn(8, 4, 50), torch.randn(8, 1, 50) + 1e-3 * torch.randn(8, 3, 50)
    plain = feature_distance(teacher, student)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(feature_distance(teacher, student), plain)
