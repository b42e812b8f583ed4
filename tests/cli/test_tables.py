"""Tables in the terminal: no number and no name is cut, and headings follow what the outputs predict."""

from dataclasses import replace

import pytest
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from beliefmatch.cli import main
from beliefmatch.cli.eight_bits import describe_8_bits
from beliefmatch.cli.output import WIDEST, print_table
from beliefmatch.cli.tables import measurement_tables, result_table
from beliefmatch.measurement import measure_pair
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.schema.export import EightBits, FileCheck, describe_checks
from beliefmatch.runs.schema.measurement import Estimate, NumberMeasurement, NumberScores
from beliefmatch.runs.schema.task import TaskName
from results import RESULT

NAME = "my_own_folder/with_a_long_name[red]/and_a_file_of_networks.py:make_the_network_that_is_to_be_compressed"


def scores(error: float) -> NumberScores:
    estimate = Estimate(value=error, low=error, high=error)
    return NumberScores(mean_absolute_error=estimate, root_mean_squared_error=estimate, r2=estimate)


def wide_table() -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("name")
    for number in range(8):
        table.add_column(f"a number {number}", justify="right", no_wrap=True)
    table.add_row(NAME, *(f"{10**number:,}.5" for number in range(8)))
    return table


@pytest.mark.parametrize("columns", [None, "20", "80", "300"])
def test_no_number_and_no_name_is_cut(
    columns: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    print_table(wide_table())
    written = capsys.readouterr().out
    for words in (NAME, "a number 7", "10,000,000.5"):
        assert words in written
    assert "\N{HORIZONTAL ELLIPSIS}" not in written


def test_words_get_more_room_where_no_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("a", "b")
    table.add_row("word " * 30, "short")
    print_table(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) == WIDEST


@pytest.mark.parametrize("command", ["recipes", "architectures"])
def test_no_list_is_cut(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main([command]) == 0
    assert "\N{HORIZONTAL ELLIPSIS}" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "headings"),
    [
        ("single_label", ("accuracy", "agreement")),
        ("multi_label", ("accuracy of labels", "labels alike")),
        ("regression", ("mean absolute error", "R\N{SUPERSCRIPT TWO}")),
    ],
)
def test_a_run_is_told_in_words_of_its_task(task: TaskName, headings: tuple[str, str]) -> None:
    table = result_table(RESULT, task)
    assert [column.header for column in table.columns][4:6] == list(headings)


def test_a_regression_shows_how_far_its_numbers_are_off() -> None:
    numbers = NumberMeasurement(teacher=scores(0.25), student=scores(0.5), pair=scores(0.1), by_output=())
    cells = [list(column.cells) for column in result_table(RESULT, "regression", numbers).columns]
    assert cells[4:6] == [["0.2500", "0.5000"], ["0.2500", "0.5000"]]
    cells = [list(column.cells) for column in result_table(RESULT, "regression").columns]
    assert cells[4:6] == [["-", "-"], ["-", "-"]]


@pytest.mark.parametrize(("threads", "words"), [(1, "with 1 thread"), (2, "with 2 threads")])
def test_the_latency_of_8_bits_is_told_with_its_threads(threads: int, words: str) -> None:
    found = EightBits(
        calibrated_on="noise",
        ranges="minmax",
        keep_float=[],
        num_nodes=1,
        float_bytes=4,
        latency=1.0,
        float_latency=2.0,
    )
    assert describe_8_bits("a.onnx", found, [], num_bytes=1, threads=threads)[-1].endswith(words)


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_classes_and_labels_have_their_names(task: TaskName, capsys: pytest.CaptureFixture[str]) -> None:
    network, names = torch.nn.Linear(4, 3), ("cat", "a [red] bird", "fish")
    measured = measure_pair(network, network, InputSpec(shape=(4,)), torch.randn(9, 4), task=task)
    print_table(measurement_tables(replace(measured, class_names=names))[1])
    written = capsys.readouterr().out
    assert all(f" {number} {name} " in written for number, name in enumerate(names))
    print_table(measurement_tables(measured)[1])
    assert " 2 " in capsys.readouterr().out


def test_real_examples_are_those_of_a_file() -> None:
    pseudo = FileCheck(
        name="fresh pseudo inputs", num_examples=256, largest_logit=1.0, max_logit_difference=0.0, agreement=1.0
    )
    images = replace(pseudo, name="test.npz", num_examples=1200)
    assert describe_checks(pseudo, None) == [("256 fresh pseudo inputs", pseudo)]
    assert describe_checks(pseudo, images)[1] == ("1,200 examples of test.npz", images)
