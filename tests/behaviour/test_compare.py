"""Recipes side by side: folders, table, page, going on where it was stopped, and what a user can get wrong."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_command import error_line

from beliefmatch.cli import main
from beliefmatch.cli.tables import comparison_table
from beliefmatch.errors import CollapseError, SettingsError
from beliefmatch.measurement.predictions import run_pair
from beliefmatch.measurement.probe import make_probe
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import best, digits, toy, zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.report import figures
from beliefmatch.runs.folder import RunFolder
from beliefmatch.students.base import Start
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies import common_inputs, kept_timings, recipe_checks, sweep
from beliefmatch.studies.compare import Compared, Comparison
from beliefmatch.training import run as running
from beliefmatch.training.budget import END_SECONDS, Timing, time_rounds
from beliefmatch.training.options import RunOptions
from beliefmatch.training.precision import make_fabric
from report.html_page import Page
from results import RESULT
from tiny import named, tiny_transfer

WORDS = (
    *("--teacher.architecture", named("make_conv_teacher"), "--student.architecture", named("make_plain_conv")),
    *("--shape", "1", "8", "8", "--mean", "0.3053", "--std", "0.3761", "--batch-size", "8", "--accelerator", "cpu"),
)
ROUNDS = {"zero_shot": 3, "digits": 5}
NUM_FAMILIES = 4
"""Of a probe for a teacher with batch-norm: leaves, areas, curves, and what is refined."""


def compare(folder: Path, *more: object, recipes: tuple[str, ...] = ("zero_shot", "digits"), seeds: str = "0 1") -> int:
    words = [*recipes, *WORDS, "--seeds", *seeds.split(), "--folder", folder, *more]
    return main(["compare", *map(str, words), *(() if "--minutes" in more else ("--minutes", "0.02"))])


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace timing by round numbers, and tell what was timed."""
    names: list[str] = []

    def calibrated(transfer: Any, _options: RunOptions, seconds: float) -> Timing:
        names.append(transfer.recipe)
        rounds = ROUNDS[transfer.recipe]
        return Timing(rounds=rounds, seconds_per_round=seconds / rounds, start_seconds=0.0, device="cpu", threads=1)

    monkeypatch.setattr(kept_timings, "time_rounds", calibrated)
    return names


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures empty: drawing takes most of the time."""
    monkeypatch.setattr(figures, "_render", lambda *_: b"<svg/>")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "digits.npz"
    np.savez(path, images=random.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8), labels=np.arange(20) % 10)
    return path


@pytest.mark.usefixtures("undrawn")
def test_every_run_has_its_folder_and_all_are_on_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], timed: list[str], images: Path
) -> None:
    folder = tmp_path / "compared"
    assert compare(folder) == 0
    out = capsys.readouterr().out
    assert "no data was given, so no accuracy was measured" in out
    assert f"{folder / 'report.html'}" in out
    for name, rounds in ROUNDS.items():
        assert name in out
        for seed in (0, 1):
            run = RunFolder(folder / name / f"seed_{seed}")
            assert run.read_result().rounds == rounds
            assert run.read_run().seed == seed
    page = Page(folder / "report.html")
    for words in ("zero_shot (2 runs, seeds 0 and 1)", "digits (2 runs, seeds 0 and 1)", "Each of 4 runs"):
        assert words in page.text
    table = json.loads((folder / "table.json").read_text())
    common = {each["recipe"]: fmean(each["common_agreements"]) for each in table["recipes"]}
    assert set(common) == {"zero_shot", "digits"}
    assert list(common.values()) == sorted(common.values(), reverse=True)
    assert all(len(each["results"]) == 2 for each in table["recipes"])
    assert "does not tell how good a student is on real data" in page.text
    assert all(0 < value < 1 for each in table["recipes"] for value in each["common_agreements"])

    # Again, with images, another seed and fewer recipes: nothing is timed or done again.
    before = (folder / "digits" / "seed_0" / "student.safetensors").stat().st_mtime_ns
    assert compare(folder, "--images", images, "--display", "json", recipes=("digits",), seeds="0 1 2") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["recipes"][0]
    assert [result["student_accuracy"] is not None for result in found["results"]] == [True] * 3
    assert found["rounds"] == ROUNDS["digits"]
    assert (folder / "digits" / "seed_0" / "student.safetensors").stat().st_mtime_ns == before
    assert timed == ["zero_shot", "digits"]
    assert compare(folder, "--images", images, recipes=("digits",)) == 0
    assert "no data was given" not in capsys.readouterr().out


@pytest.mark.usefixtures("timed", "undrawn")
@pytest.mark.parametrize("student", ["thin:0.5", "quantized:w4a8"])
def test_students_made_of_their_teacher_are_compared(student: str, tmp_path: Path, images: Path) -> None:
    folder = tmp_path / "compared"
    more = ("--student.architecture", student, "--images", images)
    assert compare(folder, *more, recipes=("digits",), seeds="0") == 0
    run = RunFolder(folder / "digits" / "seed_0")
    assert run.read_run().settings.transfer["student"]["architecture"] == student
    assert run.read_result().student_accuracy is not None
    assert student in Page(folder / "report.html").text


@pytest.mark.usefixtures("undrawn")
def test_one_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: list[str]) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert compare(whole, seeds="0") == 0
    run, done = running.run, []

    def run_once(*arguments: Any, **more: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return run(*arguments, **more)

    monkeypatch.setattr(sweep, "run", run_once)
    assert compare(stopped, seeds="0") == 130
    monkeypatch.setattr(sweep, "run", run)
    assert compare(stopped, seeds="0") == 0
    for name in ROUNDS:
        files = [folder / name / "seed_0" / "student.safetensors" for folder in (whole, stopped)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert timed == ["zero_shot", "digits"] * 2


@pytest.mark.usefixtures("undrawn", "timed")
def test_a_recipe_that_diverges_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = running.run

    def run_or_fail(transfer: Any, options: RunOptions, **more: Any) -> Any:
        result = run(transfer, options, **more)
        if transfer.recipe == "zero_shot":
            RunFolder(options.folder).result.unlink()
            raise CollapseError("a loss or gradient stopped being finite in round 2")
        return result

    monkeypatch.setattr(sweep, "run", run_or_fail)
    assert compare(tmp_path / "compared", seeds="0") == 0
    assert "0 of 1" in capsys.readouterr().out
    assert (tmp_path / "compared" / "report.html").is_file()


@pytest.mark.parametrize(
    ("recipes", "more", "message"),
    [
        (("zero_shots",), (), "no recipe is called 'zero_shots'; did you mean zero_shot?"),
        (("xyz",), (), "no recipe is called 'xyz'; there are best, zero_shot"),
        (("few_shot",), (), "few_shot learns from real images; these do without: best"),
        (("digits", "digits"), (), "digits is named twice"),
        (("digits",), ("--minutes", "0"), "--minutes must be above 0 and below 1,000,000, such as 10; got 0"),
        (("digits",), ("--minutes", "nan"), "--minutes must be finite"),
        (("digits",), ("--images", "nowhere.npz"), "nowhere.npz"),
        (("digits",), ("--seeds", "1", "1"), "name each seed once"),
        (("digits",), ("--batch-size", "0"), "--batch-size must be above 0"),
        (
            ("digits",),
            ("--shape", "1", "28", "28"),
            "--shape is (1, 28, 28), but digits takes inputs of shape (1, 8, 8)",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    recipes: tuple[str, ...],
    more: tuple[str, ...],
    message: str,
) -> None:
    assert compare(tmp_path / "compared", *more, recipes=recipes) == 2
    assert message in error_line(capsys)
    assert not (tmp_path / "compared").exists()


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "digits", "--minutes", "1"]) == 2
    assert "--teacher NAME is missing" in error_line(capsys)
    words = ["zero_shot", "--minutes", "1", "--teacher", named("make_conv_teacher"), "--shape", "1", "8"]
    assert main(["compare", *words, "8"]) == 2
    assert "--student is missing: zero_shot needs one" in error_line(capsys)
    words = ["digits", "--minutes", "1", "--teacher", named("make_conv_teacher"), "--student.start", "fresh"]
    assert main(["compare", *words]) == 2
    assert "--student NAME is missing" in error_line(capsys)


@pytest.mark.usefixtures("timed", "undrawn")
def test_a_folder_serves_one_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("")
    assert compare(tmp_path) == 2
    assert "is not empty and holds no comparison" in error_line(capsys)
    folder = tmp_path / "compared"
    assert compare(folder, recipes=("digits",), seeds="0") == 0
    assert compare(folder, "--minutes", "0.04", recipes=("digits",), seeds="0") == 2
    assert "gives each run 0.02 minutes, not 0.04: name" in error_line(capsys)
    assert compare(folder, "--batch-size", "16", recipes=("digits",), seeds="0") == 2
    assert "was timed with another batch_size" in error_line(capsys)
    kept = json.loads((folder / "comparison.json").read_text())
    kept["recipes"]["digits"]["rounds"] = "5"
    for damaged in ('{"minutes": 0.02}', '{"minutes": 0.02, "recipes": {"digits": 5}}', json.dumps(kept)):
        (folder / "comparison.json").write_text(damaged)
        assert compare(folder, recipes=("digits",), seeds="0") == 2
        assert "comparison.json is damaged" in error_line(capsys)


def compared(recipe: str, *, is_over_time: bool = False, ended: int = 3) -> Compared:
    result = replace(RESULT, rounds=12345, seconds=812.3)
    return Compared(
        recipe=recipe,
        rounds=12345,
        is_over_time=is_over_time,
        seeds=(0, 1, 2),
        results=tuple(result if seed < ended else None for seed in range(3)),
        common_agreements=(0.91, 0.92, 0.93),
        collapses=() if ended == 3 else ("constant_source", "pinned"),
    )


@pytest.mark.parametrize("is_measured", [True, False])
def test_the_table_fits_80_columns(tmp_path: Path, *, is_measured: bool) -> None:
    rows = [compared("deep_inversion", is_over_time=True), compared("best", ended=2)]
    comparison = Comparison(compared=rows, report=tmp_path, is_measured=is_measured)
    console = Console(width=80, record=True, file=StringIO())
    console.print(comparison_table(comparison))
    shown = console.export_text()
    expected = ("97.47 +- 0.00", "98.12 +- 0.00") if is_measured else ("92.00 +- 1.00", "agreement on common inputs, %")
    for words in (*expected, "deep_inversion", "812*", "12,345", "* over the minutes", "constant_source", "pinned;"):
        assert words in shown
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown


@pytest.mark.usefixtures("undrawn")
def test_a_round_that_takes_longer_than_its_minutes_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = Timing(rounds=1, seconds_per_round=2.0, start_seconds=0.5, device="cpu", threads=1)
    monkeypatch.setattr(kept_timings, "time_rounds", lambda *_: slow)
    for _ in range(2):
        caplog.clear()
        assert compare(tmp_path / "compared", recipes=("digits",), seeds="0") == 0
        assert "digits takes about 2.5 s instead of 1.2: one round" in caplog.text
        assert "digits takes about 2.5 s instead of 1.2: one round" in (tmp_path / "compared/report.html").read_text()
        assert "* over the minutes" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "compared" / "table.json").read_text())["recipes"]
    assert row["is_over_time"]


@pytest.mark.usefixtures("timed", "undrawn")
def test_images_of_another_size_are_resized_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large.npz"
    np.savez(large, images=np.zeros((20, 16, 16, 1), np.uint8), labels=np.arange(20) % 10)
    words = ("--images", large)
    assert compare(tmp_path / "compared", *words, recipes=("digits",), seeds="0") == 2
    assert "add --resize" in error_line(capsys)
    assert compare(tmp_path / "compared", *words, "--resize", recipes=("digits",), seeds="0") == 0


@pytest.mark.usefixtures("timed", "undrawn")
def test_other_images_of_the_same_name_are_measured_anew(tmp_path: Path, images: Path) -> None:
    folder = tmp_path / "compared"
    counts = []
    for count in (20, 10):
        with np.load(images) as file:
            arrays = {name: file[name][:count] for name in ("images", "labels")}
        np.savez(images, **arrays)
        assert compare(folder, "--images", images, recipes=("digits",), seeds="0") == 0
        measured = RunFolder(folder / "digits" / "seed_0").read_measurement()
        counts.append(None if measured is None else measured.num_images)
    assert counts == [20, 10]


def test_a_head_start_is_said(caplog: pytest.LogCaptureFixture) -> None:
    words = {"teacher": Network(architecture=named("make_conv_teacher")), "shape": (1, 8, 8)}
    cases: list[tuple[Start | None, bool]] = [(None, True), ("fresh", False)]
    for start, is_said in cases:
        caplog.clear()
        setup = Setup(**words, student=NamedStudent(architecture=named("make_plain_conv"), start=start))
        recipe_checks.check_starts({"zero_shot": zero_shot(setup), "best": best(setup)})
        assert ("starts from its teacher's weights in best" in caplog.text) == is_said


def test_inputs_that_differ_are_said(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(teacher=Network(architecture=named("make_conv_teacher")))
    both = {"digits": digits(setup), "toy": toy(setup)}
    recipe_checks.check_inputs({"digits": both["digits"]})
    assert not caplog.records
    recipe_checks.check_inputs(both)
    assert "do not take the same inputs" in caplog.text


def test_minutes_hold_what_a_run_does_besides_its_rounds(tmp_path: Path) -> None:
    def kept(minutes: float) -> kept_timings.KeptTimings:
        return kept_timings.KeptTimings(minutes=minutes, settings={}, folder=tmp_path)

    assert kept(10).seconds_of_rounds == 600 - END_SECONDS
    assert kept(0.01).seconds_of_rounds == 0.3


def test_rounds_are_timed_on_networks_of_their_own(tmp_path: Path) -> None:
    options = RunOptions(folder=tmp_path / "none", accelerator="cpu")
    found = time_rounds(tiny_transfer(), options, 1.0)
    assert found.rounds >= 1
    assert found.seconds_per_round > 0
    assert time_rounds(tiny_transfer(), options, 1e-6).rounds == 1
    assert not (tmp_path / "none").exists()
    with pytest.raises(SettingsError, match="more than 0 seconds"):
        time_rounds(tiny_transfer(), options, 0.0)


@pytest.mark.usefixtures("undrawn")
def test_without_data_all_runs_are_compared_on_one_set_of_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: list[str]
) -> None:
    seen: list[bytes] = []

    def watched(teacher: Any, student: Any, spec: Any, examples: Any, **settings: Any) -> Any:
        seen.append(examples.inputs.numpy().tobytes())
        return run_pair(teacher, student, spec, examples, **settings)

    monkeypatch.setattr(common_inputs, "run_pair", watched)
    assert compare(tmp_path / "compared") == 0
    assert timed == ["zero_shot", "digits"]
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert len(seen[0]) == NUM_FAMILIES * common_inputs.COUNT * 64 * 4
    assert not (tmp_path / "compared" / "digits" / "seed_0" / "measurement.json").exists()


def test_the_teacher_classes_count_evenly_in_what_runs_agree_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    running.run(tiny_transfer(), RunOptions(folder=run.path, accelerator="cpu"))
    cell = sweep.Cell(
        name="tiny",
        transfer=lambda _: tiny_transfer(),
        folder=lambda _: run.path,
        options=RunOptions(folder=run.path, resume=True, accelerator="cpu"),
    )
    (row,) = sweep.sweep([cell], [0])
    ((found,),) = common_inputs.agree_on_common_inputs([row])
    teacher, student = StoredRun(folder=run, trust_code=True).load_pair()
    probe = make_probe(
        teacher,
        count=common_inputs.COUNT,
        fabric=make_fabric("cpu", "32-true"),
        refining_steps=common_inputs.REFINING_STEPS,
    )
    alike = (teacher.module(probe.inputs).argmax(dim=1) == student(probe.inputs).argmax(dim=1)).float()
    assert found == pytest.approx(float(probe.weights["balanced"] @ alike), abs=1e-4)
    assert found != pytest.approx(float(alike.mean()), abs=1e-3)
