"""Tables in the terminal: no number and no name is cut, and headings follow what the outputs predict."""

import pytest
from rich.box import SIMPLE_HEAD
from rich.table import Table

from beliefmatch.cli import main
from beliefmatch.cli.eight_bits import describe_8_bits
from beliefmatch.cli.output import WIDEST, print_table
from beliefmatch.cli.tables import result_table
from beliefmatch.runs.schema.export import EightBits
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
