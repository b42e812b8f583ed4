"""Which of the logged numbers are drawn as parts of a loss."""

from pathlib import Path

from beliefmatch.report.learning_curves import loss_terms_of
from beliefmatch.report.runs import read_runs


def test_what_a_run_logs_of_the_student_besides_its_loss_is_no_part_of_it(two_runs: list[Path]) -> None:
    names = list(read_runs(two_runs[:1])[0].rows[-1])
    assert "student_largest_class" in names
    assert loss_terms_of("student_loss", names) == ["student_divergence"]


def test_how_much_inputs_differ_is_no_part_of_the_loss_that_made_them() -> None:
    names = ["generator_loss", "generator_statistics", "generator_one_hot", "generator_diversity"]
    assert loss_terms_of("generator_loss", names) == ["generator_statistics", "generator_one_hot"]
