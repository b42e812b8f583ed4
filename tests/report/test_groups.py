"""Which runs belong together, and what they are called."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.report.groups import group_runs, seeds
from beliefmatch.report.page import write_report
from beliefmatch.report.runs import read_runs
from beliefmatch.report.settings import OWN, differing, flatten, labels
from report.conftest import Copy
from report.folders import edit
from report.html_page import Page


def change_setting(folder: Path, name: str, value: Any) -> None:
    *path, last = name.split(".")

    def change(run: dict[str, Any]) -> None:
        place = run["settings"]
        for part in path:
            place = place[part]
        place[last] = value

    edit(folder / "run.json", change)


def test_runs_that_differ_in_their_seed_alone_are_one_group(two_runs: list[Path]) -> None:
    (group,) = group_runs(read_runs(two_runs))
    assert [run.seed for run in group.runs] == [0, 1]
    assert group.label == "digits"
    assert group.description == "2 runs, seeds 0 and 1"
    assert not group.owns_teachers


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("transfer.rounds", 60, "rounds 60"),
        ("transfer.source.student_steps", 7, "source.student steps 7"),
        ("transfer.student.architecture", "convnet_4", "student convnet_4"),
        ("teacher_sha256", "0123", "teacher sha256 0123"),
        ("precision", "64-true", "precision 64-true"),
    ],
)
def test_any_other_setting_makes_another_group(
    two_runs: list[Path], copy: Copy, name: str, value: Any, label: str
) -> None:
    other = copy("other")
    change_setting(other, name, value)
    groups = group_runs(read_runs([*two_runs, other]))
    assert [len(group.runs) for group in groups] == [2, 1]
    assert groups[1].label == label


@pytest.mark.usefixtures("undrawn")
def test_runs_that_were_measured_on_different_data_are_not_averaged_in_silence(
    two_runs: list[Path], tmp_path: Path
) -> None:
    folders = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in two_runs]
    alike = Page(write_report(folders)).text
    assert "different data" not in alike
    edit(folders[1] / "measurement.json", lambda measured: measured.update(fingerprint="another"))
    text = Page(write_report(folders)).text
    assert "over 2 runs, seeds 0 and 1, measured on different data)" in text
    assert "Runs of digits were measured on different data, so their deviations are over the data too." in text
    walks = "Guided by the student"
    assert text.count(walks) == 2 * alike.count(walks), "walks that begin elsewhere are drawn apart"


def test_where_the_teacher_lies_makes_no_difference(two_runs: list[Path], copy: Copy) -> None:
    other = copy("other")
    change_setting(other, "transfer.teacher.weights", {"type": "Path", "path": "/elsewhere/teacher.safetensors"})
    assert len(group_runs(read_runs([two_runs[1], other]))) == 1


def test_a_teacher_in_the_run_folder_is_part_of_the_seed(two_runs: list[Path], tmp_path: Path) -> None:
    folders = []
    for number, run in enumerate(two_runs):
        folder = Path(shutil.copytree(run, tmp_path / f"demo_{number}"))
        (folder / "teacher.safetensors").write_bytes(b"")
        change_setting(folder, "teacher_sha256", f"{number}")
        change_setting(folder, "transfer.teacher.weights", {"type": "Path", "path": "/was/there/teacher.safetensors"})
        folders.append(folder)
    (group,) = group_runs(read_runs(folders))
    assert group.owns_teachers
    assert group.settings["teacher.weights"] == OWN


def test_a_folder_that_is_named_twice_is_read_once(two_runs: list[Path]) -> None:
    again = two_runs[0].parent / "seed_1" / ".." / "seed_0"
    assert [run.name for run in read_runs([two_runs[0], two_runs[1], again])] == ["seed_0", "seed_1"]


def test_folders_of_one_name_are_told_apart_by_their_paths(two_runs: list[Path], copy: Copy) -> None:
    other = copy(two_runs[0].name)
    assert [run.name for run in read_runs([two_runs[0], other])] == [str(two_runs[0]), str(other)]


def test_many_seeds_are_a_range(two_runs: list[Path]) -> None:
    (run, _) = read_runs(two_runs)
    runs = [replace(run, seed=seed) for seed in range(10)]
    assert seeds(runs) == "seeds 0 to 9"
    assert seeds(runs[::3]) == "seeds 0, 3, 6 and 9"
    assert seeds(runs[:1]) == "seed 0"


def test_settings_are_flat_texts() -> None:
    plain = {
        "type": "Transfer",
        "teacher": {"type": "Network", "weights": {"type": "Path", "path": "a/b"}},
        "taps": [{"type": "TapPair", "teacher": "x", "student": "y"}],
        "shape": [3, 32, 32],
        "fresh": True,
        "bound": None,
    }
    assert flatten(plain) == {
        "teacher": "Network",
        "teacher.weights": "a/b",
        "taps": "x with y",
        "shape": "3, 32, 32",
        "fresh": "yes",
        "bound": "none",
    }


def test_labels_take_as_few_settings_as_tell_all_apart() -> None:
    settings = [
        {"recipe": "digits", "a": "1", "b": "1"},
        {"recipe": "digits", "a": "2", "b": "2"},
        {"recipe": "toy", "a": "1", "b": "1"},
    ]
    assert differing(settings) == ["recipe", "a", "b"]
    assert labels(settings, ["x", "y", "z"]) == ["digits, a 1", "digits, a 2", "toy, a 1"]
    assert labels([{"recipe": "toy", "long": "1" * 90}, {"recipe": "toy", "long": "1" * 91}], ["x", "y"]) == ["x", "y"]
